//! A bank: the service that the nodes of this example keep. Accounts, transfers between them, and
//! a count of the transfers. Money is neither made nor lost, so the total is the proof of all.
//!
//! It does not know that it is replicated.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use raft_core::Index;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};

/// The file that a snapshot consists of.
const FILE: &str = "bank";

/// What all nodes have to agree on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Bank {
    transfers: u64,
    accounts: BTreeMap<String, u64>,
}

impl Bank {
    /// `open NAME AMOUNT`, or `move AMOUNT FROM TO`. Whatever else is committed is answered, too,
    /// and alike on all nodes: a committed command can't be refused any more.
    fn execute(&mut self, command: &str) -> &'static str {
        let words: Vec<&str> = command.split_whitespace().collect();
        let done = match words[..] {
            ["open", name, amount] => self.open(name, amount),
            ["move", amount, from, to] => self.transfer(amount, from, to),
            _ => Err("no such command"),
        };
        done.unwrap_or_else(|refusal| refusal)
    }

    fn open(&mut self, name: &str, amount: &str) -> Result<&'static str, &'static str> {
        let amount: u64 = amount.parse().map_err(|_| "no such amount")?;
        if self.accounts.contains_key(name) {
            return Err("there is such an account");
        }
        // As long as the total fits into 64 bits, no account can run over.
        self.total().checked_add(amount).ok_or("too much money")?;
        self.accounts.insert(name.to_owned(), amount);
        Ok("opened")
    }

    fn transfer(
        &mut self,
        amount: &str,
        from: &str,
        to: &str,
    ) -> Result<&'static str, &'static str> {
        let amount: u64 = amount.parse().map_err(|_| "no such amount")?;
        if !self.accounts.contains_key(to) {
            return Err("no such account");
        }
        let from = self.accounts.get_mut(from).ok_or("no such account")?;
        *from = from.checked_sub(amount).ok_or("too little money")?;
        if let Some(to) = self.accounts.get_mut(to) {
            *to += amount;
        }
        self.transfers += 1;
        Ok("moved")
    }

    fn total(&self) -> u64 {
        self.accounts.values().sum()
    }

    /// All of the state, as a text: what snapshots hold, and what digests are taken of.
    fn text(&self) -> String {
        let mut text = self.transfers.to_string();
        for (name, amount) in &self.accounts {
            // Writing to a string never fails.
            let _ = write!(text, "\n{name} {amount}");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let transfers = lines.next()?.parse().ok()?;
        let account = |line: &str| {
            let (name, amount) = line.split_once(' ')?;
            Some((name.to_owned(), amount.parse().ok()?))
        };
        let accounts = lines.map(account).collect::<Option<_>>()?;
        Some(Self {
            transfers,
            accounts,
        })
    }
}

impl StateMachine for Bank {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let execute = |one: &Committed| {
            let command = str::from_utf8(&one.command).unwrap_or_default();
            Bytes::from(self.execute(command))
        };
        Ok(batch.iter().map(execute).collect())
    }

    /// Transfers, total and digest, whatever is asked.
    fn query(&self, _: &[u8]) -> Result<Bytes, PortError> {
        let digest = crc32c::crc32c(self.text().as_bytes());
        let (transfers, total) = (self.transfers, self.total());
        Ok(format!("{transfers} transfers, {total} coins, digest {digest:08x}").into())
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let text = self.text();
        Ok(Box::new(move |files| files.add(FILE, &mut text.as_bytes())))
    }

    fn restore(&mut self, _: Index, files: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut text = Vec::new();
        files.copy(FILE, &mut text)?;
        let bank = str::from_utf8(&text).ok().and_then(Self::parse);
        *self = bank.ok_or_else(|| PortError::damaged("the accounts of the bank"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use raft_core::conformance::{StateMachineFixture, state_machine, state_machine_walk};

    use super::*;

    struct Fixture;

    impl StateMachineFixture for Fixture {
        fn fresh(&mut self) -> Box<dyn StateMachine> {
            Box::new(Bank::default())
        }

        fn command(&self, _: Index, random: u64) -> Bytes {
            let (from, to) = (random % 5, random / 5 % 5);
            if random.is_multiple_of(3) {
                format!("open account-{from} {}", random % 100).into()
            } else {
                format!("move {} account-{from} account-{to}", random % 10).into()
            }
        }

        fn malformed(&self) -> Vec<Bytes> {
            ["", "move", "open a -1", "move 1 nobody nobody"]
                .map(Bytes::from)
                .to_vec()
        }

        fn queries(&self) -> Vec<Bytes> {
            vec![Bytes::new()]
        }
    }

    #[test]
    fn the_bank_passes_the_suite_for_state_machines() {
        state_machine(&mut Fixture);
        for seed in 0..100 {
            state_machine_walk(&mut Fixture, seed, 100);
        }
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        let mut bank = Bank::default();
        let mut check = |command, expected| assert_eq!(bank.execute(command), expected);
        check("open ada 10", "opened");
        check("open ada 10", "there is such an account");
        check("open bob 18446744073709551615", "too much money");
        check("move 1 ada bob", "no such account");
        check("move 11 ada ada", "too little money");
        check("move 10 ada ada", "moved");
        check("rob ada", "no such command");
        assert_eq!(bank.text(), "1\nada 10");
        assert_eq!(Bank::parse(&bank.text()), Some(bank));
    }
}
