//! The judgement of a new node: from what the others say, whether it founds, joins, or waits.
//!
//! The rules are argued in `discovery.rs`. This file is pure: it contacts nobody and has no clock;
//! it is told what the others say, and says what this node says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_core::membership::{Member, Membership};
use raft_core::port::ClusterView;
use raft_core::{Incarnation, Index, NodeId};

use super::{Assembled, Candidate, DiscoveryError, Founders};

/// For so many rounds others may say another list before that is an error; so that they hear of
/// ours, too, and nobody is left to wonder.
pub(super) const DIFFER_ROUNDS: u32 = 4;

/// Ids and addresses of founders.
pub(super) type List = BTreeMap<NodeId, String>;

/// What a new node knows, and what it stands by.
pub(super) struct Assembly {
    me: Candidate,
    founders: Founders,
    replace: bool,
    /// The list that this node stands by. Once said, it is never another one.
    list: Option<List>,
    heard: BTreeMap<NodeId, Heard>,
    /// For how many rounds somebody has said another list.
    differing: u32,
}

/// What was heard of another node since this one began to look.
struct Heard {
    /// What it said last.
    word: Word,
    /// The list that it said when it was last heard to be new. It stays when the node goes on.
    new_with: Option<List>,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// It is new, stands by this list, and has heard that these are, too. Stands by none yet if it
    /// names itself alone.
    New { list: List, heard: BTreeSet<NodeId> },
    /// It is used, and waits to be added to a cluster.
    Blank,
    /// It has founded with this list, and knows of nothing that is committed.
    Founded(List),
    /// It belongs to a cluster at work.
    Established(Index, Arc<Membership>),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    /// This is missing.
    Wait(Vec<String>),
    /// This node is to go on like that.
    Go(Assembled),
    /// It can't.
    Stop(DiscoveryError),
}

impl Assembly {
    pub(super) fn new(me: Candidate, founders: Founders, replace: bool) -> Self {
        let list = match &founders {
            Founders::Listed(list) => {
                let list: List = list.iter().cloned().collect();
                list.contains_key(&me.id).then_some(list)
            }
            Founders::Expect(_) | Founders::Nobody => None,
        };
        Self {
            me,
            founders,
            replace,
            list,
            heard: BTreeMap::new(),
            differing: 0,
        }
    }

    /// What this node says of itself: its list as members, and as voters those of them that it has
    /// heard to be new with the same list. It names itself as the leader of a cluster in which it
    /// is no voter and nothing is committed: no node that was started ever says that.
    pub(super) fn view(&self) -> ClusterView {
        let alone = || List::from([(self.me.id, self.me.address.clone())]);
        let list = self.list.clone().unwrap_or_else(alone);
        let voters = list.keys().copied().filter(|id| self.is_heard_new(*id));
        let voters = voters.collect();
        let members = list
            .into_iter()
            .map(|(id, address)| (id, Member::at(address)));
        let none = BTreeSet::new;
        let membership = Membership::from_parts(members.collect(), voters, none(), none());
        ClusterView {
            membership: Arc::new(membership.expect("the voters are among the members")),
            commit: Index(0),
            leader: Some(self.me.id),
        }
    }

    /// A node says that.
    pub(super) fn hear(&mut self, from: NodeId, view: &ClusterView) {
        let word = Word::read(from, view);
        let before = self.heard.remove(&from).and_then(|heard| heard.new_with);
        let new_with = match &word {
            Word::New { list, .. } => Some(list.clone()),
            Word::Blank | Word::Founded(_) | Word::Established(..) => before,
        };
        self.heard.insert(from, Heard { word, new_with });
    }

    /// Another round has passed.
    pub(super) fn round(&mut self) {
        self.differing = match self.difference() {
            Some(_) => self.differing + 1,
            None => 0,
        };
    }

    /// What comes next, with these places that have not answered yet.
    pub(super) fn step(&mut self, silent: &[String]) -> Step {
        if let Some(step) = self.step_if_established() {
            return step;
        }
        if self.list.is_none() {
            self.choose_list(silent.is_empty());
        }
        if let Some((node, theirs)) = self.difference()
            && self.differing >= DIFFER_ROUNDS
        {
            return Step::Stop(DiscoveryError::Differ {
                node,
                theirs: names(&theirs),
                ours: self.list.as_ref().map_or_else(String::new, names),
            });
        }
        if self.may_found(silent.is_empty())
            && let Some(list) = &self.list
        {
            return Step::Go(Assembled::Found(list.clone().into_iter().collect()));
        }
        Step::Wait(self.missing(silent))
    }

    /// Somebody belongs to a cluster at work: it is joined, unless this node was in it before.
    fn step_if_established(&self) -> Option<Step> {
        let established = |(id, heard): (&NodeId, &Heard)| match &heard.word {
            Word::Established(commit, membership) => Some((*commit, *id, Arc::clone(membership))),
            Word::New { .. } | Word::Blank | Word::Founded(_) => None,
        };
        let all = self.heard.iter().filter_map(established);
        let (_, via, membership) = all.max_by_key(|(commit, ..)| *commit)?;
        let Some(member) = membership.get(self.me.id) else {
            return Some(Step::Go(Assembled::Join { via, membership }));
        };
        let is_unbound = member.incarnation == Incarnation::UNBOUND;
        if is_unbound
            && self.is_complete()
            && let Some(list) = &self.list
        {
            // The others were faster.
            let list = list.clone().into_iter().collect();
            return Some(Step::Go(Assembled::Found(list)));
        }
        if is_unbound && !membership.is_voter(self.me.id) {
            return Some(Step::Go(Assembled::Added { via, membership }));
        }
        if self.replace {
            return Some(Step::Go(Assembled::Join { via, membership }));
        }
        Some(Step::Stop(DiscoveryError::Replaced {
            id: self.me.id,
            via,
        }))
    }

    /// A node that expects a number of others stands by the list of another, or makes one.
    fn choose_list(&mut self, all_have_answered: bool) {
        let Founders::Expect(count) = self.founders else {
            return;
        };
        let mut new = List::from([(self.me.id, self.me.address.clone())]);
        let mut promises: Vec<&List> = Vec::new();
        for (id, heard) in &self.heard {
            // Where anybody is used there is a cluster, or about to be; it is none of ours, or its
            // founders would wait for us.
            let Word::New { list, .. } = &heard.word else {
                return;
            };
            new.extend(list.get(id).map(|address| (*id, address.clone())));
            if list.len() > 1 && !promises.contains(&list) {
                promises.push(list);
            }
        }
        let list: List = match promises[..] {
            [] if all_have_answered && new.len() >= count => new.into_iter().take(count).collect(),
            [one] if one.len() == count && one.iter().all(|entry| is_in(&new, entry)) => {
                one.clone()
            }
            [..] => return,
        };
        if list.contains_key(&self.me.id) {
            self.list = Some(list);
        }
    }

    /// Who says another list, and which.
    fn difference(&self) -> Option<(NodeId, List)> {
        let said = |(id, heard): (&NodeId, &Heard)| match &heard.word {
            // Who names itself alone may not have made its list yet.
            Word::New { list, .. } if list.len() > 1 => Some((*id, list.clone())),
            Word::Founded(list) => Some((*id, list.clone())),
            Word::New { .. } | Word::Blank | Word::Established(..) => None,
        };
        let mut all = self.heard.iter().filter_map(said);
        match (&self.list, &self.founders) {
            (Some(ours), _) => all.find(|(_, theirs)| theirs != ours),
            // It is named, but among another number of founders, or at another address.
            (None, Founders::Expect(count)) => all.find(|(_, list)| {
                let ours = list.get(&self.me.id);
                ours.is_some_and(|at| list.len() != *count || *at != self.me.address)
            }),
            (None, Founders::Listed(_) | Founders::Nobody) => None,
        }
    }

    /// Whether the node was heard to be new, with our list.
    fn is_heard_new(&self, id: NodeId) -> bool {
        let heard = self.heard.get(&id);
        self.list.is_some() && heard.is_some_and(|heard| heard.new_with == self.list)
    }

    /// Whether all other founders were heard to be new, with our list.
    fn is_complete(&self) -> bool {
        let Some(list) = &self.list else { return false };
        list.keys()
            .all(|id| *id == self.me.id || self.is_heard_new(*id))
    }

    /// Whether all others know as much, so that nobody is left behind who would have to hear that
    /// we are new.
    fn may_found(&self, all_have_answered: bool) -> bool {
        let Some(list) = &self.list else { return false };
        if !self.is_complete() || self.difference().is_some() {
            return false;
        }
        let others = list.keys().filter(|id| **id != self.me.id);
        let words: Vec<_> = others
            .filter_map(|id| Some((*id, &self.heard.get(id)?.word)))
            .collect();
        // Whoever has founded had heard all who are to be heard.
        words
            .iter()
            .any(|(_, word)| matches!(word, Word::Founded(_)))
            || all_have_answered && words.iter().all(|(id, word)| is_ready(*id, word))
    }

    fn missing(&self, silent: &[String]) -> Vec<String> {
        let mut missing = silent.to_vec();
        match (&self.list, &self.founders) {
            (Some(list), _) => {
                let others = list.iter().filter(|(id, _)| **id != self.me.id);
                missing.extend(others.filter_map(|(id, address)| self.lack(*id, address)));
            }
            (None, Founders::Expect(count)) => {
                let new = |(id, heard): (&NodeId, &Heard)| {
                    matches!(heard.word, Word::New { .. }).then(|| id.to_string())
                };
                let mut ids = vec![self.me.id.to_string()];
                ids.extend(self.heard.iter().filter_map(new));
                let ids_found = ids.join(", ");
                let found = ids.len();
                missing.push(format!(
                    "{count} new nodes are expected to found a cluster; {found} found: {ids_found}"
                ));
            }
            (None, Founders::Listed(_) | Founders::Nobody) => {
                missing.push("nobody belongs to a cluster that is at work".to_owned());
            }
        }
        missing
    }

    /// What is missing of one founder.
    fn lack(&self, id: NodeId, address: &str) -> Option<String> {
        let Some(heard) = self.heard.get(&id) else {
            return Some(format!("node {id} at {address} was not heard of"));
        };
        match &heard.word {
            Word::New { list, .. } if list.len() == 1 => {
                Some(format!("node {id} does not know the founders yet"))
            }
            Word::New { .. } if is_ready(id, &heard.word) => None,
            Word::New { list, heard } => {
                let silent = list
                    .keys()
                    .filter(|other| **other != id && !heard.contains(other));
                let silent: Vec<_> = silent.map(ToString::to_string).collect();
                Some(format!("node {id} still looks for {}", silent.join(", ")))
            }
            Word::Blank => Some(format!(
                "node {id} is not new: it waits to be added to a cluster"
            )),
            Word::Founded(_) => Some(format!(
                "node {id} has founded the cluster already, and was not heard to be new: if this \
                 node is older than that, its store was lost; if the cluster never worked, empty \
                 the stores of all founders"
            )),
            Word::Established(..) => None,
        }
    }
}

impl Word {
    fn read(from: NodeId, view: &ClusterView) -> Self {
        let membership = &view.membership;
        let list = || -> List {
            let members = membership.members();
            members
                .map(|(id, member)| (id, member.address.clone()))
                .collect()
        };
        let is_bound = |(_, member): (NodeId, &Member)| member.incarnation != Incarnation::UNBOUND;
        if membership.is_blank() {
            Self::Blank
        } else if view.commit > Index(0) || membership.members().any(is_bound) {
            // Only a leader that has committed something writes down who it has heard from.
            Self::Established(view.commit, Arc::clone(membership))
        } else if view.leader == Some(from)
            && membership.contains(from)
            && !membership.is_voter(from)
        {
            Self::New {
                list: list(),
                heard: membership.voters().clone(),
            }
        } else {
            Self::Founded(list())
        }
    }
}

/// Whether the node, if it is new, has heard all other founders of its list; and if it is not,
/// needs to hear nobody.
fn is_ready(id: NodeId, word: &Word) -> bool {
    match word {
        Word::New { list, heard } => list
            .keys()
            .all(|other| *other == id || heard.contains(other)),
        Word::Founded(_) | Word::Established(..) => true,
        Word::Blank => false,
    }
}

fn is_in(list: &List, (id, address): (&NodeId, &String)) -> bool {
    list.get(id) == Some(address)
}

fn names(list: &List) -> String {
    let names: Vec<_> = list.iter().map(|(id, at)| format!("{id}={at}")).collect();
    names.join(",")
}

#[cfg(test)]
#[path = "assembly/tests.rs"]
mod tests;
