//! What clients and operators ask of a cluster.
//!
//! Each request returns the ticket by which its answer is found.

use raft_core::event::RoleName;
use raft_core::{Consistency, Event, MemberChange, NodeId, Ticket};

use super::Cluster;

impl Cluster {
    /// A ticket for a request.
    pub const fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// The wish for `command`, not yet handed to anybody.
    pub fn wish(&mut self, command: &str) -> Event {
        let command = command.as_bytes().to_vec().into();
        Event::Propose {
            ticket: self.ticket(),
            command,
        }
    }

    /// `command` is proposed at `id`.
    pub fn propose(&mut self, id: u64, command: &str) -> Ticket {
        let wish = self.wish(command);
        self.input(id, wish);
        Ticket(self.tickets)
    }

    /// A linearizable read at `id`.
    pub fn read(&mut self, id: u64) -> Ticket {
        self.read_with(id, Consistency::Linearizable)
    }

    /// A read at `id`.
    pub fn read_with(&mut self, id: u64, consistency: Consistency) -> Ticket {
        let ticket = self.ticket();
        self.input(
            id,
            Event::Read {
                ticket,
                consistency,
            },
        );
        ticket
    }

    /// An operator at `id` wants other members.
    pub fn change(&mut self, id: u64, changes: Vec<MemberChange>) -> Ticket {
        let ticket = self.ticket();
        self.input(
            id,
            Event::ChangeMembership {
                ticket,
                based_on: None,
                changes,
            },
        );
        ticket
    }

    /// An operator at `id` wants `target` to lead.
    pub fn transfer(&mut self, id: u64, target: u64) -> Ticket {
        let (ticket, target) = (self.ticket(), Some(NodeId(target)));
        self.input(id, Event::TransferLeadership { ticket, target });
        ticket
    }

    /// `id` is told to campaign.
    pub fn campaign(&mut self, id: u64) {
        self.input(id, Event::Campaign);
    }

    /// Makes `id` the leader: lets everybody's patience with the present one run out, then has
    /// `id` campaign.
    pub fn elect(&mut self, id: u64) {
        self.pass(1000);
        self.campaign(id);
        assert_eq!(self.role(id), RoleName::Leader, "{id} wins its election");
    }
}
