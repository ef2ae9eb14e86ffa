//! The judgement by tables, and in worlds of nodes that start, ask each other, are stopped and lose
//! their stores in any order.

use raft_core::membership::MemberChange;

use super::*;

fn address(id: u64) -> String {
    format!("n:{id}")
}

fn list(ids: &[u64]) -> Vec<(NodeId, String)> {
    ids.iter().map(|id| (NodeId(*id), address(*id))).collect()
}

fn assembly(id: u64, founders: Founders) -> Assembly {
    let me = Candidate {
        id: NodeId(id),
        address: address(id),
    };
    Assembly::new(me, founders, false)
}

fn voters(ids: &[u64]) -> Membership {
    let members = list(ids).into_iter();
    Membership::of_voters(members.map(|(id, address)| (id, Member::at(address))))
}

fn view(membership: Membership, commit: u64) -> ClusterView {
    ClusterView {
        membership: Arc::new(membership),
        commit: Index(commit),
        leader: None,
    }
}

/// The step in a few words.
fn said(step: Step) -> String {
    let ids = |list: &[(NodeId, String)]| {
        let ids: Vec<_> = list.iter().map(|(id, _)| id.to_string()).collect();
        ids.join("")
    };
    match step {
        Step::Wait(missing) => format!("wait: {}", missing.join("; ")),
        Step::Go(Assembled::Found(list)) => format!("found {}", ids(&list)),
        Step::Go(Assembled::Join { via, .. }) => format!("join by {via}"),
        Step::Go(Assembled::Added { via, .. }) => format!("added, by {via}"),
        Step::Stop(error) => format!("stop: {error}"),
    }
}

#[test]
fn what_a_node_says_of_its_cluster_decides() {
    let check = |of: &[(u64, ClusterView)], expected: &str| {
        let mut one = assembly(1, Founders::Listed(list(&[1, 2, 3])));
        for (from, view) in of {
            one.hear(NodeId(*from), view);
        }
        (0..DIFFER_ROUNDS).for_each(|_| one.round());
        let said = said(one.step(&[]));
        assert!(said.contains(expected), "{said}");
    };
    let bound = |life| [(NodeId(1), Incarnation(life))];
    let nobody_at = "node 2 at n:2 was not heard of; node 3 at n:3 was not heard of";
    check(&[], nobody_at);
    check(&[(2, view(voters(&[2, 3]), 7))], "join by 2");
    check(
        &[
            (3, view(voters(&[2, 3]), 7)),
            (2, view(voters(&[1, 2, 3]), 9)),
        ],
        "already, but",
    );
    check(&[(2, view(voters(&[1, 2, 3]), 7))], "remove member 1");
    // A member that has just come back knows of nothing committed, but of others' lives.
    check(
        &[(2, view(voters(&[1, 2, 3]).with_incarnations(&bound(5)), 0))],
        "remove member 1",
    );
    check(
        &[(2, view(voters(&[1, 2, 3]), 0))],
        "node 2 has founded the cluster already",
    );
    check(
        &[(2, view(voters(&[1, 2]), 0))],
        "a cluster of 1=n:1,2=n:2, this node one of 1=n:1,2",
    );
    check(&[(2, view(Membership::default(), 0))], "node 2 is not new");
    let learner = MemberChange::Learner(NodeId(1), Member::at("n:1"));
    let added = voters(&[2, 3]).changed(&[learner]).expect("legal");
    check(&[(2, view(added.clone(), 3))], "added, by 2");
    check(
        &[(2, view(added.with_incarnations(&bound(5)), 3))],
        "remove member 1",
    );
}

#[test]
fn an_order_to_replace_lets_a_node_come_back_as_another() {
    let mut one = assembly(1, Founders::Nobody);
    one.replace = true;
    one.hear(NodeId(2), &view(voters(&[1, 2, 3]), 7));
    assert_eq!(said(one.step(&[])), "join by 2");
}

#[test]
fn a_founder_alone_waits_for_nobody_but_those_it_was_told_to_look_for() {
    for founders in [Founders::Listed(list(&[1])), Founders::Expect(1)] {
        let mut one = assembly(1, founders);
        assert!(matches!(one.step(&["no answer".into()]), Step::Wait(_)));
        assert_eq!(said(one.step(&[])), "found 1");
    }
    assert!(matches!(
        assembly(1, Founders::Nobody).step(&[]),
        Step::Wait(_)
    ));
    let listed = Founders::Listed(list(&[2, 3]));
    assert!(matches!(assembly(1, listed).step(&[]), Step::Wait(_)));
}

#[test]
fn nobody_founds_before_all_know_enough() {
    let mut nodes = [1, 2].map(|id| assembly(id, Founders::Listed(list(&[1, 2]))));
    let second = nodes[1].view();
    nodes[0].hear(NodeId(2), &second);
    assert_eq!(said(nodes[0].step(&[])), "wait: node 2 still looks for 1");
    let first = nodes[0].view();
    nodes[1].hear(NodeId(1), &first);
    // The second knows that the first is new and has heard it: enough.
    assert_eq!(said(nodes[1].step(&[])), "found 12");
    // The first has only to learn that the second is gone on.
    nodes[0].hear(NodeId(2), &view(voters(&[1, 2]), 0));
    assert_eq!(said(nodes[0].step(&["some other seed".into()])), "found 12");
}

#[test]
fn the_others_may_be_at_work_before_the_last_has_founded() {
    let mut one = assembly(1, Founders::Listed(list(&[1, 2, 3])));
    for id in [2, 3] {
        let other = assembly(id, Founders::Listed(list(&[1, 2, 3])));
        one.hear(NodeId(id), &other.view());
    }
    assert!(matches!(one.step(&[]), Step::Wait(_)));
    one.hear(NodeId(2), &view(voters(&[1, 2, 3]), 4));
    assert_eq!(said(one.step(&[])), "found 123");
}

/// What a node of a world is.
enum State {
    Down,
    Looking(Assembly, BTreeSet<NodeId>),
    Founded(List),
    Joined,
    Refused,
}

/// Nodes 1 and up, of which the first three are the founders.
struct World {
    random: u64,
    founders: Founders,
    nodes: Vec<State>,
    /// The list of the first who founded.
    founded: Option<List>,
    is_at_work: bool,
    has_faults: bool,
}

impl World {
    fn new(seed: u64, size: usize, founders: Founders, has_faults: bool) -> Self {
        Self {
            random: seed * 2 + 1,
            founders,
            nodes: (0..size).map(|_| State::Down).collect(),
            founded: None,
            is_at_work: false,
            has_faults,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7f);
        usize::try_from(self.random >> 33).expect("31 bits") % bound
    }

    fn id(place: usize) -> NodeId {
        NodeId(place as u64 + 1)
    }

    fn view_of(&self, place: usize) -> Option<ClusterView> {
        let commit = u64::from(self.is_at_work);
        match &self.nodes[place] {
            State::Down | State::Refused => None,
            State::Looking(assembly, _) => Some(assembly.view()),
            State::Founded(list) => {
                let ids: Vec<_> = list.keys().map(|id| id.0).collect();
                Some(view(voters(&ids), commit))
            }
            State::Joined => Some(view(Membership::default(), 0)),
        }
    }

    fn act(&mut self) {
        let place = self.below(self.nodes.len());
        let other = self.below(self.nodes.len());
        let is_fault = self.has_faults && self.below(60) == 0;
        let seen = self.view_of(other);
        let size = self.nodes.len();
        let id = Self::id(place);
        match &mut self.nodes[place] {
            State::Down => {
                let assembly = assembly(id.0, self.founders.clone());
                self.nodes[place] = State::Looking(assembly, BTreeSet::new());
            }
            // Looking, it is stopped; used, it loses its store.
            State::Looking(..) | State::Founded(_) | State::Joined if is_fault => {
                self.nodes[place] = State::Down;
            }
            State::Looking(assembly, heard) => {
                if other != place
                    && let Some(view) = seen
                {
                    heard.insert(Self::id(other));
                    assembly.hear(Self::id(other), &view);
                    assembly.round();
                }
                let silent = size - 1 - heard.len();
                let step = assembly.step(&vec!["silent".to_owned(); silent]);
                self.go_on(place, step);
            }
            State::Founded(list) => {
                // A majority of founders is all that a cluster needs.
                let majority = list.len() / 2 + 1;
                let up = self
                    .nodes
                    .iter()
                    .filter(|node| matches!(node, State::Founded(_)));
                self.is_at_work |= up.count() >= majority;
            }
            State::Joined | State::Refused => {}
        }
    }

    fn go_on(&mut self, place: usize, step: Step) {
        self.nodes[place] = match step {
            Step::Wait(_) => return,
            Step::Go(Assembled::Found(list)) => {
                let list: List = list.into_iter().collect();
                let is_anybody_left = self.nodes.iter().any(|n| matches!(n, State::Founded(_)));
                if self.founded.is_some() && is_anybody_left {
                    assert_eq!(self.founded.as_ref(), Some(&list), "two clusters");
                }
                self.founded = Some(list.clone());
                State::Founded(list)
            }
            Step::Go(Assembled::Join { .. }) => {
                assert!(self.is_at_work, "joined what is no cluster");
                let list = self.founded.as_ref().expect("somebody founded");
                assert!(
                    !list.contains_key(&Self::id(place)),
                    "a founder joined as another"
                );
                State::Joined
            }
            Step::Go(Assembled::Added { .. }) => panic!("nobody adds in these worlds"),
            Step::Stop(DiscoveryError::Replaced { .. }) => {
                assert!(self.has_faults, "nothing was lost");
                State::Refused
            }
            Step::Stop(error) => panic!("{error}"),
        };
    }
}

#[test]
fn without_faults_all_founders_found_and_all_others_join() {
    for seed in 0..300 {
        let of_three = [Founders::Listed(list(&[1, 2, 3])), Founders::Expect(3)];
        let size = 3 + usize::try_from(seed % 3).expect("small");
        for founders in of_three {
            let mut world = World::new(seed, size, founders, false);
            for _ in 0..3_000 {
                world.act();
            }
            for (place, node) in world.nodes.iter().enumerate() {
                let is_right = match node {
                    State::Founded(list) => list.len() == 3 && place < 3,
                    State::Joined => place >= 3,
                    State::Down | State::Looking(..) | State::Refused => false,
                };
                assert!(is_right, "seed {seed}: node {}", World::id(place));
            }
        }
    }
}

#[test]
fn whatever_is_stopped_or_lost_there_is_one_cluster() {
    let (mut worlds, mut refused) = (0, 0);
    for seed in 0..1_000 {
        for founders in [Founders::Listed(list(&[1, 2, 3])), Founders::Expect(3)] {
            let mut world = World::new(seed, 4, founders, true);
            for _ in 0..400 {
                world.act();
            }
            worlds += usize::from(world.is_at_work);
            refused += usize::from(world.nodes.iter().any(|n| matches!(n, State::Refused)));
        }
    }
    assert!(
        worlds > 300 && refused > 150,
        "{worlds} at work, {refused} with lost stores"
    );
}
