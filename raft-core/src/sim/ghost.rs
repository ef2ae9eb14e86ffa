//! SKELETON, signatures final (bodies follow).

pub struct Violation { pub invariant: &'static str, pub detail: String }  // Debug, Clone, Display, Error

impl Ghost {
    /// Nodes are NodeId(1)..=NodeId(nodes) (ids 0..=nodes are fine).
    pub fn new(nodes: usize) -> Self;
    /// What the world promises about clocks; default `Clocks::Within(ClockDrift { per_mille: 0 })`.
    /// `Clocks::Broken` (jumps beyond the configured drift): bounded reads, and with leases also 13 and 14, are not judged.
    pub fn clocks(&mut self, clocks: Clocks);
    /// `log`: the retained entries after `recovered.base`. Call after Raft::new, before its startup Output is carried out;
    /// then treat the startup Output as one step: `before_step(&raft)` is NOT needed, `after_step(now, &raft, &out)` is.
    pub fn booted(&mut self, raft: &Raft, recovered: &Recovered, log: &[Entry]) -> Result<(), Violation>;
    pub fn before_step(&mut self, raft: &Raft);
    /// `now`: world time (one clock for all nodes), ns. After flush; once a flushed batch (before_step before the batch's first step).
    pub fn after_step(&mut self, now: u64, raft: &Raft, out: &Output) -> Result<(), Violation>;
    /// Each write once, in order, when it becomes durable (also if the node crashes before it hears Persisted).
    pub fn persisted(&mut self, node: NodeId, write: &Write) -> Result<(), Violation>;
    pub fn crashed(&mut self, node: NodeId);
    /// Before booted(): the disk was wiped, or lost durable state on purpose.
    pub fn forgot(&mut self, node: NodeId);
    /// After each applied index or batch; also right after a Restore (index = snapshot.last.index).
    pub fn applied(&mut self, node: NodeId, index: Index, digest: u64) -> Result<(), Violation>;
    pub fn read_invoked(&mut self, node: NodeId, ticket: Ticket, consistency: Consistency, now: u64);
    pub fn read_ready(&mut self, node: NodeId, ticket: Ticket, index: Index, now: u64) -> Result<(), Violation>;
    /// Invariant 14: if the last after_step committed something new, its (node, term); then call check_leases with every
    /// running node and its local time.
    pub fn fresh_commit(&self) -> Option<(NodeId, Term)>;
    pub fn check_leases<'a>(&self, running: impl Iterator<Item = (&'a Raft, Time)>) -> Result<(), Violation>;
    /// Highest index committed anywhere, and the highest term that had a leader (for the liveness phase).
    pub fn commit(&self) -> Index;
    pub fn term_led_max(&self) -> Term;
    pub fn marks(&self) -> &Marks;
    pub fn marks_mut(&mut self) -> &mut Marks;  // the world adds its own
}
