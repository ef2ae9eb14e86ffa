//! A cluster of processes: who is up, who leads, and what all of them must have done in the end. It
//! does not know what clients do meanwhile.

mod end;
mod up;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Mutex as Turns, MutexGuard as Turn};
use tonic::transport::ClientTlsConfig;

use super::certificates::Files;
use super::client::Client;
use super::place::{Address, Place};
use super::plan::Plan;
use super::process::{self, Process, Signal};
use super::program::Program;
use super::small_disk::SmallDisk;
use super::until;

/// How long a member that is asked how it is may take to say so.
const BRIEFLY: Duration = Duration::from_secs(1);
/// How long a client waits that must have an answer.
const PATIENTLY: Duration = Duration::from_secs(10);
/// What the clusters of these tests are called.
const TOKEN: &str = "processes";
/// One cluster runs at a time: two would take time from each other, and be judged by the clock.
static TURNS: Turns<()> = Turns::const_new(());

/// A cluster. Its processes end with it.
#[derive(Debug)]
pub struct Cluster {
    program: Program,
    running: BTreeMap<u64, Process>,
    paused: BTreeSet<u64>,
    places: BTreeMap<u64, Place>,
    /// What each member was started with the last time.
    flags_of: BTreeMap<u64, Vec<String>>,
    disks: BTreeMap<u64, SmallDisk>,
    addresses: Addresses,
    tls: Option<ClientTlsConfig>,
    plan: Plan,
    root: TempDir,
    _turn: Turn<'static, ()>,
}

/// Where clients may go; it changes with the members.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(Arc<Mutex<Vec<Address>>>);

impl Addresses {
    pub(super) fn list(&self) -> Vec<Address> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Address>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Cluster {
    /// Founds a cluster, all members running.
    pub async fn start(program: &Program, plan: Plan) -> Self {
        Self::start_on(program, plan, BTreeMap::new()).await
    }

    /// Founds a cluster, some of whose members have a disk of their own.
    ///
    /// # Panics
    /// When no leader is found.
    pub async fn start_on(program: &Program, plan: Plan, disks: BTreeMap<u64, SmallDisk>) -> Self {
        let turn = TURNS.lock().await;
        let authority = plan.authority.as_ref();
        let mut cluster = Self {
            program: program.clone(),
            running: BTreeMap::new(),
            paused: BTreeSet::new(),
            places: BTreeMap::new(),
            flags_of: BTreeMap::new(),
            disks,
            addresses: Addresses::default(),
            tls: authority.map(|authority| authority.client(authority.pem())),
            root: TempDir::new().expect("there is a disk"),
            plan,
            _turn: turn,
        };
        let founders: Vec<_> = (1..=cluster.plan.size).collect();
        for id in &founders {
            cluster.place(*id);
        }
        for id in &founders {
            cluster.found(*id, &[]);
        }
        cluster.leader().await;
        cluster
    }

    // --- What happens to members ---

    /// Starts a founder that is down, as if for the first time: with all flags.
    pub fn found(&mut self, id: u64, flags: &[&str]) {
        let founders: Vec<_> = (1..=self.plan.size).collect();
        self.found_with(id, &founders, flags);
    }

    /// The same with other founders than those that were planned.
    pub fn found_with(&mut self, id: u64, founders: &[u64], flags: &[&str]) {
        let founding = self.initial(founders, "new");
        self.run(id, &founding, flags);
    }

    /// Starts a member that is down and was there before, with the flags of the last time.
    ///
    /// # Panics
    /// When it never was there.
    pub fn restart(&mut self, id: u64) {
        let flags = self.flags_of[&id].clone();
        self.launch(id, &flags);
    }

    /// Starts a member that was added to those who are there.
    pub fn join(&mut self, id: u64, others: &[u64], flags: &[&str]) {
        let all: Vec<_> = others.iter().copied().chain([id]).collect();
        let joining = self.initial(&all, "existing");
        self.run(id, &joining, flags);
        self.open_to_clients(id);
    }

    /// Ends a member as a crash would.
    ///
    /// # Panics
    /// When it is down.
    pub fn kill(&mut self, id: u64) {
        self.paused.remove(&id);
        self.running.remove(&id).expect("it is up").kill();
    }

    /// Asks a member to end, and waits until it has.
    ///
    /// # Panics
    /// When it is down, or stays.
    pub async fn stop(&mut self, id: u64) -> ExitStatus {
        self.signal(id, Signal::TERM);
        self.ended(id).await
    }

    /// Waits until a member ends by itself.
    ///
    /// # Panics
    /// When it is down, or stays.
    pub async fn ended(&mut self, id: u64) -> ExitStatus {
        self.running.remove(&id).expect("it is up").wait().await
    }

    /// Whether the process of a member has ended by itself.
    ///
    /// # Panics
    /// When it was ended.
    pub fn has_ended(&mut self, id: u64) -> bool {
        let process = self.running.get_mut(&id).expect("nobody has ended it");
        process.ended().is_some()
    }

    /// Sends a signal to a member.
    ///
    /// # Panics
    /// When it is down.
    pub fn signal(&self, id: u64, signal: Signal) {
        self.running[&id].signal(signal);
    }

    /// Stops the time of a member.
    pub fn pause(&mut self, id: u64) {
        self.signal(id, Signal::STOP);
        self.paused.insert(id);
    }

    /// Lets it go on.
    pub fn resume(&mut self, id: u64) {
        self.signal(id, Signal::CONT);
        self.paused.remove(&id);
    }

    /// Takes everything from a member that is down.
    ///
    /// # Panics
    /// When there is nothing.
    pub fn wipe(&self, id: u64) {
        fs::remove_dir_all(&self.places[&id].dir).expect("it was there");
    }

    /// Clients go to a member no more, because it is none any more.
    pub fn close_to_clients(&self, id: u64) {
        self.addresses
            .change(|list| list.retain(|address| address.member != id));
    }

    // --- What is known of them ---

    /// The program that they run.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// What the cluster was planned to be.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The network that the members have for themselves.
    ///
    /// # Panics
    /// When they have none.
    #[must_use]
    pub fn network(&self) -> &super::Network {
        self.plan.network.as_ref().expect("it was planned")
    }

    /// The disk that a member has for itself.
    #[must_use]
    pub fn disk(&self, id: u64) -> &SmallDisk {
        &self.disks[&id]
    }

    /// The processes that are up, and not paused.
    #[must_use]
    pub fn up(&self) -> Vec<u64> {
        let up = self.running.keys().copied();
        up.filter(|id| !self.paused.contains(id)).collect()
    }

    /// What a member has said so far, in all its lives.
    #[must_use]
    pub fn said(&self, id: u64) -> String {
        process::said(&self.places[&id].log)
    }

    /// Where a member keeps its data.
    #[must_use]
    pub fn data(&self, id: u64) -> PathBuf {
        self.places[&id].dir.clone()
    }

    /// Where the others reach a member; it gets a place if it has none yet.
    pub fn peer_url(&mut self, id: u64) -> String {
        self.place(id);
        self.places[&id].peer.clone()
    }

    /// What a member is called.
    #[must_use]
    pub fn name(&self, id: u64) -> String {
        self.places[&id].name.clone()
    }

    /// Where clients reach a member.
    #[must_use]
    pub fn client_url(&self, id: u64) -> String {
        self.places[&id].client.clone()
    }

    /// The files of certificates of a member.
    #[must_use]
    pub fn files(&self, id: u64) -> Files {
        Files::of(&self.root.path().join(format!("tls-{id}")))
    }

    /// From now on clients introduce themselves like this.
    pub fn introduce(&mut self, tls: ClientTlsConfig) {
        self.tls = Some(tls);
    }

    /// A client of a member.
    #[must_use]
    pub fn client(&self, id: u64) -> Client {
        Client::new(&self.places[&id].client, self.tls.clone(), PATIENTLY)
    }

    pub(super) fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    pub(super) fn tls(&self) -> Option<ClientTlsConfig> {
        self.tls.clone()
    }

    /// Waits until all that are up agree on one of them as the leader.
    pub async fn leader(&self) -> u64 {
        self.leader_among(&self.up()).await
    }

    /// Waits until these agree on one of them as the leader.
    pub async fn leader_among(&self, ids: &[u64]) -> u64 {
        let clients: Vec<_> = ids
            .iter()
            .map(|id| (*id, self.client(*id).patient(BRIEFLY)))
            .collect();
        until("a leader that all follow", async || {
            let mut said = Vec::new();
            for (id, client) in &clients {
                said.push((*id, client.status().await.ok()?));
            }
            let header = |status: &raft_cli::pb::etcdserverpb::StatusResponse| {
                status.header.unwrap_or_default()
            };
            let is_self = |status: &raft_cli::pb::etcdserverpb::StatusResponse| {
                status.leader != 0 && header(status).member_id == status.leader
            };
            let (id, leader) = said.iter().find(|(_, status)| is_self(status))?;
            let follow = |status: &raft_cli::pb::etcdserverpb::StatusResponse| {
                status.leader == leader.leader && status.raft_term == leader.raft_term
            };
            said.iter().all(|(_, status)| follow(status)).then_some(*id)
        })
        .await
    }

    /// One of those that are up and do not lead.
    ///
    /// # Panics
    /// When there is none.
    pub async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        let mut others = self.up().into_iter().filter(|id| *id != leader);
        others.next().expect("it is not alone")
    }

    /// What the members call a member.
    pub async fn id(&self, member: u64) -> u64 {
        let client = self.client(member).patient(BRIEFLY);
        let what = format!("the id of member {member}");
        let find = async || Some(client.status().await.ok()?.header?.member_id);
        until(&what, find).await
    }

    /// Waits until a member answers a linearizable read.
    pub async fn serves(&self, id: u64) {
        let client = self.client(id).patient(BRIEFLY);
        let what = format!("member {id} answers");
        until(&what, async || client.get("any").await.ok()).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for place in self.places.values() {
            eprintln!(
                "--- {} said last:\n{}",
                place.name,
                process::tail(&place.log)
            );
        }
    }
}
