//! Streams of rows, cut anywhere.

use std::collections::BTreeMap;

use super::*;

/// Rows of two families.
struct Few(BTreeMap<Bytes, Bytes>);

struct Walk(Vec<(Bytes, Bytes)>);

impl Cursor for Walk {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        self.0.last().map(|(key, value)| (&**key, &**value))
    }

    fn to_owned(&self) -> Option<(Bytes, Bytes)> {
        self.0.last().cloned()
    }

    fn advance(&mut self) -> Result<(), PortError> {
        self.0.pop();
        if self.row().is_some_and(|(key, _)| key == b"broken") {
            return Err(PortError::misused("a row that can't be read"));
        }
        Ok(())
    }
}

impl View for Few {
    fn get(&self, _: Family, key: &[u8]) -> Result<Option<Bytes>, PortError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(
        &self,
        family: Family,
        _: &Span,
        _: Direction,
    ) -> Result<Box<dyn Cursor + '_>, PortError> {
        let rows = self
            .0
            .iter()
            .rev()
            .map(|(key, value)| (key.clone(), value.clone()));
        let is_in = matches!(family, Family::Keys | Family::Meta);
        Ok(Box::new(Walk(rows.filter(|_| is_in).collect())))
    }
}

fn few() -> Few {
    let lengths = [0, 1, 127, 128, 300, 70_000, 200_000];
    let row = |length: usize| (vec![b'k'; length / 2].into(), vec![b'v'; length].into());
    Few(lengths.map(row).into_iter().collect())
}

fn encoded(view: &dyn View) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(view, Index(7));
    encoder.read_to_end(&mut bytes).expect("rows");
    bytes
}

type Row = (Family, Bytes, Bytes);

/// What is in a stream that comes in pieces of this length.
fn decoded(stream: &[u8], piece: usize) -> Result<(Index, Vec<Row>), PortError> {
    let mut rows = Vec::new();
    let mut take = |family, key, value| {
        rows.push((family, key, value));
        Ok(())
    };
    let mut decoder = Decoder::new(&mut take);
    for piece in stream.chunks(piece) {
        if decoder.write_all(piece).is_err() {
            return Err(decoder.failure.expect("a reason"));
        }
    }
    let applied = decoder.finish()?;
    Ok((applied, rows))
}

#[test]
fn a_stream_gives_back_its_rows_wherever_it_is_cut() {
    let few = few();
    let stream = encoded(&few);
    let of = |family| {
        few.0
            .iter()
            .map(move |(key, value)| (family, key.clone(), value.clone()))
    };
    let expected: Vec<_> = of(Family::Keys).chain(of(Family::Meta)).collect();
    for piece in [13, 1_000, 65_536, stream.len()] {
        let (applied, rows) = decoded(&stream, piece).expect("a whole stream");
        assert_eq!(applied, Index(7));
        assert!(rows == expected, "pieces of {piece}");
    }
    let none = encoded(&Few(BTreeMap::new()));
    for piece in 1..=none.len() {
        assert_eq!(decoded(&none, piece).expect("a whole stream").1, []);
    }
}

#[test]
fn a_stream_is_read_in_pieces_of_any_length() {
    let few = few();
    let expected = encoded(&few);
    for piece in [1, 7, 100_000] {
        let (mut encoder, mut bytes) = (Encoder::new(&few, Index(7)), Vec::new());
        let mut buffer = vec![0; piece];
        loop {
            let count = encoder.read(&mut buffer).expect("rows");
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..count]);
        }
        assert!(bytes == expected, "pieces of {piece}");
    }
}

#[test]
fn a_view_that_fails_says_so_itself() {
    let mut few = few();
    few.0.insert(Bytes::from_static(b"broken"), Bytes::new());
    let mut sink = raft_core::sim::disk::ImageSink::default();
    let error = add(&mut sink, "rows", Index(1), &few).expect_err("a broken row");
    assert_eq!(error.to_string(), "a row that can't be read");
}

/// A stream with these families, whole but for what is said of them.
fn forged(families: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    stream.put_slice(MAGIC);
    stream.put_u32_le(FORMAT);
    stream.put_u64_le(7);
    stream.put_slice(families);
    stream.put_u8(END_MARK);
    let hash = xxhash_rust::xxh3::xxh3_64(&stream);
    stream.put_u64_le(hash);
    stream
}

#[test]
fn a_forged_stream_is_refused_for_what_is_wrong() {
    let check = |families: &[u8], expected: &str| match decoded(&forged(families), 5) {
        Ok((_, rows)) => assert_eq!(expected, format!("{} rows", rows.len())),
        Err(error) => assert!(
            error.to_string().contains(expected),
            "{families:?}: {error}"
        ),
    };
    let none = [0; 8];
    let one = [1, 0, 0, 0, 0, 0, 0, 0];
    let two = [2, 0, 0, 0, 0, 0, 0, 0];
    let of = |parts: &[&[u8]]| parts.concat();
    check(b"", "0 rows");
    check(&of(&[b"\x05\0", &none]), "0 rows");
    check(&of(&[b"\0", b"\x02\x01kv", b"\0", &one]), "1 rows");
    check(&of(&[b"\0", b"\x02\0a\x02\0b\0", &two]), "2 rows");
    check(&of(&[b"\0", b"\x02\0b\x02\0a\0", &two]), "don't ascend");
    check(&of(&[b"\0", b"\x02\0a\x02\0a\0", &two]), "don't ascend");
    check(
        &of(&[b"\0", b"\x02\0a\0", &two]),
        "1 rows came where 2 were",
    );
    check(&of(&[b"\x06\0", &none]), "a family 6");
    check(&of(&[b"\x01\0", &none, b"\0\0", &none]), "a family 0");
    check(&of(&[b"\x01\0", &none, b"\x01\0", &none]), "a family 1");
    // Lengths that lie: too great for any row, greater than what comes, and without an end.
    check(b"\0\xff\xff\xff\xff\x7f", "a row that is too long");
    check(b"\0\x02\xff\xff\xff\xff\x03", "it ends in the midst");
    check(b"\0\x80\x80\x80\x80\x80\x01", "a length without an end");
}
