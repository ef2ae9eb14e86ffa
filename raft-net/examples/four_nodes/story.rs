//! The story, chapter by chapter. Each line says what happened, and what proves it; a proof that
//! fails ends the story with an error.
//!
//! It does not know how nodes are started, cut off or asked.

use std::path::PathBuf;

use raft_core::driver::ReadError;
use raft_core::event::RoleName;
use raft_core::{Consistency, Index, Node, NodeId};
use tokio::time::Instant;

use crate::cluster::{Cluster, Trouble, until};
use crate::teller::Teller;

/// Where the story is.
pub(crate) struct Story {
    cluster: Cluster,
    teller: Teller,
    pen: Pen,
}

/// Writes the lines.
pub(crate) struct Pen {
    started: Instant,
    is_quiet: bool,
}

/// Tells all of it.
pub(crate) async fn tell(dir: PathBuf, pen: Pen) -> Result<(), Trouble> {
    let mut story = Story::begin(dir, pen).await?;
    let killed = story.the_leader_dies().await?;
    story.it_comes_back(killed).await?;
    story.a_follower_is_cut_off(killed.0).await?;
    story.half_is_no_majority().await?;
    story.end().await
}

impl Story {
    async fn begin(dir: PathBuf, pen: Pen) -> Result<Self, Trouble> {
        pen.head();
        let cluster = Cluster::start(dir).await?;
        pen.tell("Four nodes start, each with a log and a port.", "");
        let (leader, term) = cluster.leader().await?;
        pen.tell(
            &format!("They elect node {leader}."),
            &format!("term {term}, all four follow it"),
        );
        let teller = Teller::new(cluster.node(leader)).await?;
        let mut story = Self {
            cluster,
            teller,
            pen,
        };
        let at = story.cluster.up();
        story.teller.pay(200, &at).await?;
        let proof = story.agreement().await?;
        story.tell(
            "A client makes 200 transfers, at all nodes in turn.",
            &proof,
        );
        Ok(story)
    }

    /// The client only knows the others: it would be told that the outcome is unknown anyway.
    async fn the_leader_dies(&mut self) -> Result<(NodeId, Index), Trouble> {
        self.pen.rule();
        let (leader, old_term) = self.cluster.leader().await?;
        let others = self.others(&[leader]);
        let half_way = others[0].status().core.commit.plus(100);
        let again = self.teller.again;
        let Self {
            cluster, teller, ..
        } = self;
        let kill = async {
            let is_there = || (others[0].status().core.commit >= half_way).then_some(());
            until("the client to be half way", is_there).await?;
            cluster.kill(leader).await
        };
        let ((), durable) = tokio::try_join!(teller.pay(200, &others), kill)?;
        self.tell(
            &format!("It makes 200 more; half way, node {leader}, the leader, is killed."),
            &format!("its log was durable up to {durable}"),
        );
        let (next, term) = self.cluster.leader().await?;
        check(
            next != leader && term > old_term,
            "a leader in a later term",
        )?;
        self.tell(
            &format!("The others elect node {next}."),
            &format!("term {term}, all three follow it"),
        );
        let proof = self.agreement().await?;
        self.tell(
            "Nothing acknowledged was lost, nothing was done twice.",
            &proof,
        );
        let again = self.teller.again - again;
        self.tell(
            "What had no answer was sent again, within its session.",
            &format!("{again} times"),
        );
        Ok((leader, durable))
    }

    async fn it_comes_back(&mut self, (id, durable): (NodeId, Index)) -> Result<(), Trouble> {
        self.pen.rule();
        let last = self.cluster.start_node(id).await?;
        check(last >= durable, "the disk holds all that was durable")?;
        self.tell(
            &format!("Node {id} starts again, from its disk."),
            &format!("its log ends at {last}"),
        );
        let proof = self.agreement().await?;
        self.tell("It is sent what it missed.", &proof);
        let bytes = self.cluster.snapshot_bytes(id);
        check(bytes == 0, "the log was enough, and no snapshot was sent")
    }

    async fn a_follower_is_cut_off(&mut self, killed: NodeId) -> Result<(), Trouble> {
        self.pen.rule();
        let (leader, _) = self.cluster.leader().await?;
        let lost = self.others(&[leader, killed])[0].id();
        self.cluster.cut(lost);
        let end = self.cluster.node(lost).status().core.last.index;
        self.tell(
            &format!("Node {lost}, a follower, is cut off."),
            &format!("its log ends at {end}"),
        );
        let before = self.teller.moved;
        let at = self.cluster.up();
        self.teller.pay(200, &at).await?;
        let proof = self.agreement().await?;
        self.tell("The others do without: 200 transfers.", &proof);

        let node = self.cluster.node(lost);
        let stale = ask(node, Consistency::Local).await?;
        check(stale.starts_with(&counted(before)), "a state of the past")?;
        self.tell(&format!("Node {lost} can only tell of the past."), &stale);
        let refused = node.read("", Consistency::Linearizable).await;
        let Err(refusal @ ReadError::NoLeader { .. }) = refused else {
            return Err(format!("a linearizable read was answered: {refused:?}").into());
        };
        self.tell("Asked for the present, it refuses.", &refusal.to_string());
        self.snapshot_mends(lost, end).await
    }

    /// The others forget the entries that `lost` lacks, so only a snapshot can help it.
    async fn snapshot_mends(&mut self, lost: NodeId, end: Index) -> Result<(), Trouble> {
        let up = self.cluster.up();
        for node in &up {
            node.snapshot_now().await?;
        }
        self.teller.pay(10, &up).await?;
        let begins = |node: &Node| {
            let status = node.status();
            Index(status.core.last.index.0.saturating_sub(status.log.entries)).next()
        };
        let forgotten = || {
            up.iter()
                .map(begins)
                .min()
                .filter(|first| *first > end.next())
        };
        let first = until("the logs to be compacted", forgotten).await?;
        self.tell(
            "The others take snapshots, compact their logs, and go on.",
            &format!("no log reaches back beyond {first}"),
        );
        self.cluster.heal(lost);
        let installed = || {
            let snapshot = self.cluster.node(lost).status().core.snapshot.index;
            (snapshot > end).then_some(snapshot)
        };
        let snapshot = until("the snapshot to arrive", installed).await?;
        let bytes = self.cluster.snapshot_bytes(lost);
        check(bytes > 0, "the snapshot came over the network")?;
        self.tell(
            &format!("Node {lost} is reached again, and fetches a snapshot."),
            &format!("{bytes} bytes, which stand for the log up to {snapshot}"),
        );
        let proof = self.agreement().await?;
        self.tell("It has caught up.", &proof);
        Ok(())
    }

    /// Four nodes bear the loss of one, just as three do: two of four are no majority.
    async fn half_is_no_majority(&mut self) -> Result<(), Trouble> {
        self.pen.rule();
        let (leader, term) = self.cluster.leader().await?;
        let (before, again) = (self.teller.moved, self.teller.again);
        let others = self.others(&[leader]);
        let lost = [others[0].id(), others[1].id()];
        let Self {
            cluster,
            teller,
            pen,
        } = self;
        lost.iter().for_each(|id| cluster.cut(*id));
        let [a, b] = lost;
        pen.tell(
            &format!("Nodes {a} and {b} are cut off: half is no majority."),
            "",
        );
        let node = [cluster.node(leader).clone()];
        let heal = async {
            let stepped_down = || (node[0].status().core.role != RoleName::Leader).then_some(());
            until("the leader to step down", stepped_down).await?;
            pen.tell(
                &format!("Node {leader} notices, and leads no more."),
                &format!("it was the leader of term {term}"),
            );
            let state = ask(&node[0], Consistency::Local).await?;
            check(
                state.starts_with(&counted(before)),
                "nothing is acknowledged",
            )?;
            pen.tell("The client's next transfer gets no answer.", &state);
            lost.iter().for_each(|id| cluster.heal(*id));
            Ok(())
        };
        tokio::try_join!(teller.pay(1, &node), heal)?;
        let (next, term) = self.cluster.leader().await?;
        self.tell(
            &format!("They are reached again, and node {next} leads."),
            &format!("term {term}, all four follow it"),
        );
        let proof = self.agreement().await?;
        let sent = 1 + self.teller.again - again;
        self.tell(
            &format!("The transfer, sent {sent} times, is done once."),
            &proof,
        );
        Ok(())
    }

    async fn end(self) -> Result<(), Trouble> {
        let proof = self.cluster.agreement().await?;
        self.pen.rule();
        self.pen.last(&format!("All is as it should be: {proof}."));
        Ok(())
    }

    /// All that are up hold the same, and that is what the client was told.
    async fn agreement(&self) -> Result<String, Trouble> {
        let state = self.cluster.agreement().await?;
        let expected = format!("{}, {} coins", counted(self.teller.moved), Teller::TOTAL);
        check(
            state.starts_with(&expected),
            &format!("{expected} (and not {state})"),
        )?;
        let up: Vec<_> = (self.cluster.up().iter())
            .map(|node| node.id().to_string())
            .collect();
        Ok(format!("{state} on nodes {}", up.join(" ")))
    }

    /// Those that are up, without some.
    fn others(&self, without: &[NodeId]) -> Vec<Node> {
        let mut up = self.cluster.up();
        up.retain(|node| !without.contains(&node.id()));
        up
    }

    fn tell(&self, what: &str, proof: &str) {
        self.pen.tell(what, proof);
    }
}

async fn ask(node: &Node, consistency: Consistency) -> Result<String, Trouble> {
    let answer = node.read("", consistency).await?;
    Ok(String::from_utf8(answer.to_vec())?)
}

fn counted(transfers: u64) -> String {
    format!("{transfers} transfers")
}

fn check(holds: bool, expected: &str) -> Result<(), Trouble> {
    if holds {
        return Ok(());
    }
    Err(format!("this should be, and is not: {expected}").into())
}

impl Pen {
    /// One that starts to count the time now; a quiet one writes the last line only.
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self {
            started: Instant::now(),
            is_quiet,
        }
    }

    fn head(&self) {
        self.write(&format!(
            "{:>8}  {:<66}{}",
            "time", "what happened", "proof"
        ));
        self.rule();
    }

    /// Between two chapters.
    fn rule(&self) {
        self.write("");
    }

    fn tell(&self, what: &str, proof: &str) {
        let time = self.started.elapsed().as_secs_f64();
        self.write(&format!("{time:>6.2} s  {what:<66}{proof}"));
    }

    fn last(&self, text: &str) {
        println!("{text}");
    }

    fn write(&self, line: &str) {
        if !self.is_quiet {
            println!("{}", line.trim_end());
        }
    }
}
