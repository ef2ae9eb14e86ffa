//! How members come up: where they are, and what they are started with. It does not know when.

use super::{Cluster, TOKEN};
use crate::processes::place::{Address, Place, free_port};
use crate::processes::process::Process;
use crate::processes::program;
use crate::processes::small_disk::SmallDisk;

impl Cluster {
    pub(super) fn place(&mut self, id: u64) {
        if self.places.contains_key(&id) {
            return;
        }
        let network = self.plan.network.as_ref();
        let host = network.map_or_else(|| "127.0.0.1".to_owned(), |network| network.host(id));
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = || format!("{scheme}://{host}:{}", free_port());
        let disk = self
            .disks
            .get(&id)
            .map_or(self.root.path(), SmallDisk::path);
        let place = Place {
            name: format!("m{id}"),
            dir: disk.join(format!("m{id}")),
            log: self.root.path().join(format!("m{id}.log")),
            client: url(),
            peer: url(),
        };
        self.places.insert(id, place);
        if let Some(authority) = &self.plan.authority {
            let files = self.files(id);
            files.write(&authority.sign());
            files.trust(&[authority]);
        }
        if id <= self.plan.size {
            self.open_to_clients(id);
        }
    }

    pub(super) fn open_to_clients(&self, id: u64) {
        let url = self.client_url(id);
        self.addresses
            .change(|list| list.push(Address { member: id, url }));
    }

    /// The flags by which a member learns of the others.
    pub(super) fn initial(&self, members: &[u64], state: &str) -> Vec<String> {
        let all = members.iter().map(|id| {
            let place = &self.places[id];
            format!("{}={}", place.name, place.peer)
        });
        let all: Vec<_> = all.collect();
        vec![
            format!("--initial-cluster={}", all.join(",")),
            format!("--initial-cluster-state={state}"),
            format!("--initial-cluster-token={TOKEN}"),
        ]
    }

    pub(super) fn run(&mut self, id: u64, initial: &[String], flags: &[&str]) {
        let flags = self.flags(id, initial, flags);
        self.launch(id, &flags);
        self.flags_of.insert(id, flags);
    }

    pub(super) fn launch(&mut self, id: u64, flags: &[String]) {
        assert!(!self.running.contains_key(&id), "member {id} is up");
        let place = &self.places[&id];
        let network = self.plan.network.as_ref();
        let mut words = network.map_or_else(Vec::new, |network| network.words(id));
        words.extend_from_slice(self.program.words());
        let mut command = program::command(&words);
        command.args(flags);
        let process = Process::start(&mut command, &place.log);
        self.running.insert(id, process);
    }

    /// All flags of a member. Those that come last hold: a test may say something else.
    fn flags(&self, id: u64, initial: &[String], last: &[&str]) -> Vec<String> {
        let (place, plan) = (&self.places[&id], &self.plan);
        let mut all = vec![
            format!("--name={}", place.name),
            format!("--data-dir={}", place.dir.display()),
            format!("--heartbeat-interval={}", plan.heartbeat.as_millis()),
            format!("--election-timeout={}", plan.election.as_millis()),
        ];
        for (flag, url) in [
            ("listen-client-urls", &place.client),
            ("advertise-client-urls", &place.client),
            ("listen-peer-urls", &place.peer),
            ("initial-advertise-peer-urls", &place.peer),
        ] {
            all.push(format!("--{flag}={url}"));
        }
        if self.tls.is_some() {
            all.extend(self.tls_flags(id));
        }
        all.extend_from_slice(initial);
        all.extend_from_slice(&plan.flags);
        for flag in last {
            let name = flag.split('=').next().unwrap_or_default();
            all.retain(|earlier| earlier.split('=').next() != Some(name));
            all.push((*flag).to_owned());
        }
        all
    }

    fn tls_flags(&self, id: u64) -> Vec<String> {
        let files = self.files(id);
        let mut flags = Vec::new();
        for (flag, file) in [
            ("cert-file", &files.certificate),
            ("key-file", &files.key),
            ("trusted-ca-file", &files.trusted),
        ] {
            flags.push(format!("--{flag}={}", file.display()));
            flags.push(format!("--peer-{flag}={}", file.display()));
        }
        flags.extend(["--client-cert-auth", "--peer-client-cert-auth"].map(ToOwned::to_owned));
        flags
    }
}
