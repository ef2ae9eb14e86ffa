//! Any bytes as what a name server sends.
//!
//! They are tried as they come, and as answers behind a whole question. This file does not know
//! which answers are believed.

use raft_net::discovery::dns::message::{Message, Record, TYPE_SRV, query};

/// As a name is written: four characters for each byte that is not plain.
const NAME_CHARACTERS_MAX: usize = 4 * 255;

/// Any bytes as a message of the domain name system.
pub fn dns(data: &[u8]) {
    read(data);
    let Some((count, answers)) = data.split_first() else {
        return;
    };
    let mut message = query(7, "a.b").expect("a name");
    message[2] |= 0x80;
    message[7] = count % 8;
    message.extend_from_slice(answers);
    if let Some(read) = read(&message) {
        assert!(read.answers(7, "A.B") && !read.answers(8, "a.b") && !read.answers(7, "a"));
    }
}

fn read(bytes: &[u8]) -> Option<Message> {
    let message = Message::decode(bytes).ok()?;
    let asked = &message.question.name;
    check(asked);
    // What can be asked for is read as it was asked for.
    if let Ok(again) = query(message.id, asked) {
        let again = Message::decode(&again).expect("what we encode we decode");
        assert_eq!((&again.question.name, again.id), (asked, message.id));
        assert_eq!((again.question.kind, again.is_response), (TYPE_SRV, false));
    }
    for record in &message.answers {
        match record {
            Record::Alias { name, target } | Record::Service { name, target, .. } => {
                check(name);
                check(target);
            }
            Record::Other => {}
        }
    }
    Some(message)
}

fn check(name: &str) {
    assert!(
        name.len() <= NAME_CHARACTERS_MAX,
        "{} characters",
        name.len()
    );
    assert!(name.is_ascii() && !name.contains(|letter: char| letter.is_ascii_uppercase()));
}
