//! The inputs that fuzzing a name server's answers starts from: a query, and answers with services,
//! an alias and compressed names.
//!
//! This file does not know what becomes of them.

use raft_net::discovery::dns::message::query;

/// The seeds of each target.
pub(crate) fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let asked = query(0x1234, "_raft._tcp.example.org").expect("a name");
    let owner = [0xc0, 12];
    let service = |target: &[u8]| {
        let length = u8::try_from(6 + target.len()).expect("short");
        let head = [0, 33, 0, 1, 0, 0, 0, 60, 0, length, 0, 1, 0, 2, 0x1f, 0x90];
        [&owner[..], &head, target].concat()
    };
    // `n1`, then the `example.org` of the question; and a name of its own.
    let answers = [
        service(&[2, b'n', b'1', 0xc0, 23]),
        service(b"\x01x\x03org\x00"),
    ]
    .concat();
    let alias = [
        &owner[..],
        &[0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'c', 0xc0, 18],
    ]
    .concat();
    let answered = |count: u8, answers: &[u8]| {
        let mut message = asked.clone();
        message[2] |= 0x80;
        message[7] = count;
        message.extend_from_slice(answers);
        message
    };
    let behind_a_question = [&[2][..], &service(&[1, b'n', 0xc0, 12]), &alias].concat();
    let seeds = vec![
        asked.clone(),
        answered(2, &answers),
        answered(3, &[alias, answers.clone()].concat()),
        behind_a_question,
    ];
    vec![("dns", seeds)]
}
