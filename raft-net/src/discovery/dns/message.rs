//! The messages of the domain name system, as far as a question for services needs them (RFC 1035,
//! RFC 2782): a query is encoded, and whatever comes back is decoded or refused.
//!
//! What comes back is not trusted: each length is checked before it is used. A compressed name may
//! only point further back than where it has been read so far, so it ends; and nothing panics.
//! This file knows no socket, and not which answers are believed.

use std::fmt::Write as _;

/// The class of the internet; no other is asked for.
const CLASS_IN: u16 = 1;
const HEADER_BYTES: usize = 12;
/// The longest label, and the longest name as it is encoded, its end included.
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 255;
/// So many records of a message are looked at; no cluster has more members.
const RECORDS_MAX: u16 = 512;
const TYPE_CNAME: u16 = 5;
/// The type of records that say where a service is.
pub const TYPE_SRV: u16 = 33;
const FLAG_RESPONSE: u16 = 1 << 15;
const FLAG_TRUNCATED: u16 = 1 << 9;
const FLAG_RECURSION_DESIRED: u16 = 1 << 8;

/// Why bytes are no message, or a name is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It ends in the middle.
    #[error("the message ends too early")]
    Short,
    /// A name is too long, or points to where it must not.
    #[error("a name in the message makes no sense")]
    Name,
    /// It has not exactly one question.
    #[error("the message has not exactly one question")]
    Questions,
    /// It has more records than anybody needs.
    #[error("the message has more than {RECORDS_MAX} answers")]
    Records,
}

/// What of a message is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the query was numbered.
    pub id: u16,
    /// It is an answer, not a query.
    pub is_response: bool,
    /// There is more, which did not fit.
    pub is_truncated: bool,
    /// How it went; 0 is well, 3 is that there is no such name.
    pub code: u8,
    /// What was asked.
    pub question: Question,
    /// What was answered.
    pub answers: Vec<Record>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of which name.
    pub name: String,
    /// For which type of records.
    pub kind: u16,
    /// Of which class.
    pub class: u16,
}

/// One answer, in small letters: names differ in no case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The name stands for another one.
    Alias {
        /// Which name.
        name: String,
        /// For which other.
        target: String,
    },
    /// The service of that name is there.
    Service {
        /// The name of the service.
        name: String,
        /// Those of the lowest are to be tried first.
        priority: u16,
        /// Among those, how often in comparison.
        weight: u16,
        /// Where it listens.
        port: u16,
        /// On which host.
        target: String,
    },
    /// Of no interest.
    Other,
}

/// The query for the services of a name.
///
/// # Errors
/// When the name is none.
pub fn query(id: u16, name: &str) -> Result<Vec<u8>, MessageError> {
    let mut out = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    for word in [id, FLAG_RECURSION_DESIRED, 1, 0, 0, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    put_name(&mut out, name)?;
    out.extend_from_slice(&TYPE_SRV.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    Ok(out)
}

fn put_name(out: &mut Vec<u8>, name: &str) -> Result<(), MessageError> {
    let begin = out.len();
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let is_odd = label.is_empty() || !label.bytes().all(is_plain);
        let length = u8::try_from(label.len()).map_err(|_| MessageError::Name)?;
        if is_odd || usize::from(length) > LABEL_BYTES_MAX {
            return Err(MessageError::Name);
        }
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    if out.len() - begin > NAME_BYTES_MAX {
        return Err(MessageError::Name);
    }
    Ok(())
}

impl Message {
    /// Whether it answers that query, and no other.
    #[must_use]
    pub fn answers(&self, id: u16, name: &str) -> bool {
        let asked = name.strip_suffix('.').unwrap_or(name);
        self.is_response
            && self.id == id
            && self.question.kind == TYPE_SRV
            && self.question.class == CLASS_IN
            && self.question.name.eq_ignore_ascii_case(asked)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader { bytes, at: 0 };
        let (id, flags) = (reader.word()?, reader.word()?);
        let (questions, answers) = (reader.word()?, reader.word()?);
        reader.skip(4)?;
        if questions != 1 {
            return Err(MessageError::Questions);
        }
        if answers > RECORDS_MAX {
            return Err(MessageError::Records);
        }
        let question = Question {
            name: reader.name()?,
            kind: reader.word()?,
            class: reader.word()?,
        };
        let is_truncated = flags & FLAG_TRUNCATED != 0;
        let mut records = Vec::new();
        for _ in 0..answers {
            match reader.record() {
                Ok(record) => records.push(record),
                // A message that was cut may end anywhere; all of it is asked for again.
                Err(MessageError::Short) if is_truncated => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            id,
            is_response: flags & FLAG_RESPONSE != 0,
            is_truncated,
            code: flags.to_be_bytes()[1] & 0xf,
            question,
            answers: records,
        })
    }
}

/// Reads a message from its beginning to its end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn skip(&mut self, count: usize) -> Result<(), MessageError> {
        let end = self.at.checked_add(count).ok_or(MessageError::Short)?;
        if end > self.bytes.len() {
            return Err(MessageError::Short);
        }
        self.at = end;
        Ok(())
    }

    fn word(&mut self) -> Result<u16, MessageError> {
        let begin = self.at;
        self.skip(2)?;
        Ok(u16::from_be_bytes([
            self.bytes[begin],
            self.bytes[begin + 1],
        ]))
    }

    /// A record: its name, type, class, time to live, and as much data as it says.
    fn record(&mut self) -> Result<Record, MessageError> {
        let name = self.name()?;
        let (kind, class) = (self.word()?, self.word()?);
        self.skip(4)?;
        let length = usize::from(self.word()?);
        let data = self.at;
        self.skip(length)?;
        let (end, whole) = (self.at, self.bytes);
        // A name in the data may point back into the whole message, but does not leave the data.
        let mut inner = Reader {
            bytes: &whole[..end],
            at: data,
        };
        let record = match (class, kind) {
            (CLASS_IN, TYPE_CNAME) => Record::Alias {
                name,
                target: inner.name()?,
            },
            (CLASS_IN, TYPE_SRV) => Record::Service {
                name,
                priority: inner.word()?,
                weight: inner.word()?,
                port: inner.word()?,
                target: inner.name()?,
            },
            (_, _) => Record::Other,
        };
        Ok(record)
    }

    /// A name, in small letters; what is neither a letter, a digit, `-` nor `_` is written `\ddd`,
    /// so that no label can hold a dot that separates none.
    fn name(&mut self) -> Result<String, MessageError> {
        let mut name = String::new();
        let mut length = 0;
        let mut at = self.at;
        // Where this run of labels began: what it points to lies before it, so runs only get
        // further to the front, and there is an end to them.
        let mut run = at;
        let mut is_elsewhere = false;
        loop {
            let first = *self.bytes.get(at).ok_or(MessageError::Short)?;
            at += 1;
            if !is_elsewhere {
                self.at = at;
            }
            match first {
                0 => return Ok(name),
                1..=63 => {
                    let end = at + usize::from(first);
                    let label = self.bytes.get(at..end).ok_or(MessageError::Short)?;
                    length += 1 + label.len();
                    if length >= NAME_BYTES_MAX {
                        return Err(MessageError::Name);
                    }
                    push_label(&mut name, label);
                    at = end;
                    if !is_elsewhere {
                        self.at = at;
                    }
                }
                0xc0.. => {
                    let low = *self.bytes.get(at).ok_or(MessageError::Short)?;
                    if !is_elsewhere {
                        self.at = at + 1;
                    }
                    let target = usize::from(u16::from_be_bytes([first & 0x3f, low]));
                    if target >= run {
                        return Err(MessageError::Name);
                    }
                    (at, run, is_elsewhere) = (target, target, true);
                }
                // Lengths of 64 to 191 have no meaning.
                64..=191 => return Err(MessageError::Name),
            }
        }
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    if !name.is_empty() {
        name.push('.');
    }
    for byte in label {
        if is_plain(*byte) {
            name.push(char::from(byte.to_ascii_lowercase()));
        } else {
            // A string takes all that is written to it.
            let _ = write!(name, "\\{byte:03}");
        }
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(answers: u16) -> Vec<u8> {
        let words = [7, FLAG_RESPONSE, 1, answers, 0, 0];
        words
            .iter()
            .flat_map(|word: &u16| word.to_be_bytes())
            .collect()
    }

    /// A message that asks for `name` as it is encoded, with one answer.
    fn message(name: &[u8], answer: &[u8]) -> Vec<u8> {
        let kind = [0, 33, 0, 1];
        [
            &header(u16::from(!answer.is_empty()))[..],
            name,
            &kind,
            answer,
        ]
        .concat()
    }

    const SRV: [u8; 4] = [0, 33, 0, 1];

    #[test]
    fn a_query_is_read_as_it_was_asked() {
        let bytes = query(0x1234, "_Raft._tcp.example.org.").expect("a name");
        let read = Message::decode(&bytes).expect("a message");
        assert_eq!(read.question.name, "_raft._tcp.example.org");
        assert_eq!(
            (read.id, read.question.kind, read.is_response),
            (0x1234, TYPE_SRV, false)
        );
    }

    #[test]
    fn names_that_are_none_are_not_asked_for() {
        let check = |name: &str, expected| assert_eq!(query(1, name).map(drop), expected, "{name}");
        check("a.b", Ok(()));
        check(&"a".repeat(63), Ok(()));
        for name in [
            "",
            ".",
            "a..b",
            "a b",
            "ü",
            &"a".repeat(64),
            &"ab.".repeat(90),
        ] {
            check(name, Err(MessageError::Name));
        }
    }

    #[test]
    fn a_compressed_target_is_put_together() {
        // The owner points to the question at 12; the target is `n1`, then the question's `b`.
        let data = [0, 1, 0, 2, 0x1f, 0x90, 2, b'n', b'1', 0xc0, 14];
        let head = [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 9, 0, 11];
        let answer = [&head[..], &data].concat();
        let read = Message::decode(&message(&[1, b'A', 1, b'b', 0], &answer)).expect("a message");
        let expected = Record::Service {
            name: "a.b".into(),
            priority: 1,
            weight: 2,
            port: 8080,
            target: "n1.b".into(),
        };
        assert_eq!(read.answers, [expected]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(Message::decode(bytes).map(drop), Err(expected), "{bytes:?}");
        };
        check(&[], MessageError::Short);
        check(&header(0)[..11], MessageError::Short);
        check(&header(0), MessageError::Short);
        // A name that points to itself, ahead, or to another that points back to it.
        check(&message(&[0xc0, 12], &[]), MessageError::Name);
        check(&message(&[0xc0, 40], &[]), MessageError::Name);
        check(&message(&[1, b'a', 0xc0, 12], &[]), MessageError::Name);
        check(&message(&[0x80, 0], &[]), MessageError::Name);
        check(&message(&[5, b'a'], &[]), MessageError::Short);
        // The data is longer than the message, or shorter than what must be in it.
        let long = [&[0][..], &SRV, &[0, 0, 0, 0, 0, 9, 1]].concat();
        check(&message(&[0], &long), MessageError::Short);
        let short = [&[0][..], &SRV, &[0, 0, 0, 0, 0, 3, 0, 1, 0]].concat();
        check(&message(&[0], &short), MessageError::Short);
        let mut two = message(&[0], &[]);
        two[5] = 2;
        check(&two, MessageError::Questions);
        let mut many = message(&[0], &[]);
        many[6] = 0xff;
        check(&many, MessageError::Records);
    }

    #[test]
    fn a_name_of_many_runs_is_refused_once_it_is_too_long() {
        let mut bytes = header(0);
        // 100 runs, each a label of three letters and a pointer to the one before.
        bytes.extend_from_slice(&[0]);
        for run in 0..100_u16 {
            let before = if run == 0 { 12 } else { 13 + (run - 1) * 6 };
            bytes.extend_from_slice(&[3, b'a', b'b', b'c']);
            bytes.extend_from_slice(&(0xc000 | before).to_be_bytes());
        }
        let mut reader = Reader {
            bytes: &bytes,
            at: bytes.len() - 6,
        };
        assert_eq!(reader.name(), Err(MessageError::Name));
        let mut reader = Reader {
            bytes: &bytes,
            at: 13 + 6 * 9,
        };
        assert_eq!(reader.name().map(|name| name.len()), Ok(39));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(Message::decode(&bytes));
        }

        #[test]
        fn nothing_behind_a_whole_question_makes_the_decoder_panic(
            rest in prop::collection::vec(prop_oneof![Just(0xc0), Just(12), 0..70_u8], 0..300),
            answers in 0..20_u16,
        ) {
            let bytes = [&header(answers)[..], &[1, b'a', 0], &SRV, &rest].concat();
            drop(Message::decode(&bytes));
        }
    }
}
