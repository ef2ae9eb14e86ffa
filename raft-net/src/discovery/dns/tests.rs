//! The resolver against a small name server on loopback that says what a test wants.

use std::io::Write as _;

use tokio::net::TcpListener;

use super::*;

const NAME: &str = "_raft._tcp.example.org";

/// What a server sends for a query, and what it says over TCP.
type Say = fn(&[u8]) -> Vec<Vec<u8>>;

/// A server that answers over UDP with all of `udp`, and over TCP with the first of `tcp`.
async fn server(udp: Say, tcp: Say) -> Resolver {
    let (socket, listener) = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        // The same number may be taken for TCP.
        if let Ok(listener) = TcpListener::bind(address).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for answer in udp(&buffer[..length]) {
                socket.send_to(&answer, from).await.expect("loopback");
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.expect("a length");
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await.expect("a query");
            let answer = tcp(&query).remove(0);
            let length = u16::try_from(answer.len()).expect("short");
            stream.write_u16(length).await.expect("taken");
            stream.write_all(&answer).await.expect("taken");
        }
    });
    let mut resolver = Resolver::of(vec![address]);
    resolver.timeout = Duration::from_millis(300);
    resolver
}

/// The answer to a query, with these services: priority, weight, port and host.
fn answer(query: &[u8], flags: u16, services: &[(u16, u16, u16, &str)]) -> Vec<u8> {
    let mut out = query.to_vec();
    out[2..4].copy_from_slice(&(0x8000 | flags).to_be_bytes());
    out[7] = u8::try_from(services.len()).expect("few");
    for (priority, weight, port, host) in services {
        let mut target = Vec::new();
        for label in host.split('.').filter(|label| !label.is_empty()) {
            target.push(u8::try_from(label.len()).expect("short"));
            target.extend_from_slice(label.as_bytes());
        }
        target.push(0);
        let length = u16::try_from(6 + target.len()).expect("short");
        out.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 1]);
        for word in [length, *priority, *weight, *port] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&target);
    }
    out
}

const TWO: [(u16, u16, u16, &str); 3] = [(2, 0, 3, "c"), (1, 1, 2, "b"), (1, 9, 1, "a.org")];

fn two(query: &[u8]) -> Vec<Vec<u8>> {
    vec![answer(query, 0, &TWO)]
}

fn nothing(_: &[u8]) -> Vec<Vec<u8>> {
    vec![Vec::new()]
}

fn hosts(services: &[Service]) -> Vec<String> {
    let host = |service: &Service| format!("{}:{}", service.host, service.port);
    services.iter().map(host).collect()
}

#[tokio::test]
async fn services_come_by_priority_then_weight() {
    let resolver = server(two, nothing).await;
    let found = resolver.services(NAME).await.expect("an answer");
    assert_eq!(hosts(&found), ["a.org:1", "b:2", "c:3"]);
    assert_eq!(
        resolver
            .services(&format!("{NAME}."))
            .await
            .expect("an answer"),
        found
    );
}

#[tokio::test]
async fn garbage_wrong_numbers_and_other_questions_are_passed_over() {
    let udp = |query: &[u8]| {
        let good = answer(query, 0, &TWO[..1]);
        let mut wrong_id = answer(query, 0, &TWO);
        wrong_id[0] ^= 1;
        let mut other_name = answer(query, 0, &TWO);
        other_name[14] = b'X';
        let mut a_query = answer(query, 0, &TWO);
        a_query[2] = 0;
        let mut a_loop = query[..12].to_vec();
        a_loop[2] = 0x80;
        a_loop.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1]);
        vec![vec![1, 2, 3], wrong_id, other_name, a_query, a_loop, good]
    };
    let resolver = server(udp, nothing).await;
    assert_eq!(
        hosts(&resolver.services(NAME).await.expect("the last")),
        ["c:3"]
    );
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_over_tcp() {
    let truncated = |query: &[u8]| vec![answer(query, 0x0200, &TWO[..1])];
    let resolver = server(truncated, two).await;
    let found = resolver.services(NAME).await.expect("an answer");
    assert_eq!(found.len(), 3);
    let other = |query: &[u8]| {
        let mut other = answer(query, 0, &TWO);
        other[1] ^= 1;
        vec![other]
    };
    let failed = server(truncated, other).await.services(NAME).await;
    assert!(matches!(failed, Err(DnsError::Mismatch)), "{failed:?}");
    let failed = server(truncated, nothing).await.services(NAME).await;
    assert!(matches!(failed, Err(DnsError::Message(_))), "{failed:?}");
}

#[tokio::test]
async fn it_is_said_why_there_is_no_answer() {
    let no_name = |query: &[u8]| vec![answer(query, 3, &[])];
    let found = server(no_name, nothing).await.services(NAME).await;
    assert!(matches!(found, Err(DnsError::None(_))), "{found:?}");
    let none = |query: &[u8]| vec![answer(query, 0, &[(0, 0, 0, "")])];
    let found = server(none, nothing).await.services(NAME).await;
    assert!(matches!(found, Err(DnsError::None(_))), "{found:?}");
    let failed = |query: &[u8]| vec![answer(query, 2, &[])];
    let found = server(failed, nothing).await.services(NAME).await;
    assert!(matches!(found, Err(DnsError::Failed(2))), "{found:?}");
    let silent = |_: &[u8]| Vec::new();
    let found = server(silent, nothing).await.services(NAME).await;
    assert!(matches!(found, Err(DnsError::Io(_))), "{found:?}");
    let found = Resolver::default().services("a..b").await;
    assert!(matches!(found, Err(DnsError::BadName(_))), "{found:?}");
}

#[tokio::test]
async fn a_server_that_fails_is_followed_by_the_next() {
    let failed = |query: &[u8]| vec![answer(query, 2, &[])];
    let mut resolver = server(failed, nothing).await;
    resolver.servers.extend(server(two, nothing).await.servers);
    assert_eq!(resolver.services(NAME).await.expect("the second").len(), 3);
}

#[test]
fn the_system_names_its_servers() {
    let check = |text: &str, expected: &[&str]| {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let servers = system_servers(file.path());
        let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, expected, "{text}");
    };
    check("", &["127.0.0.1:53"]);
    check(
        "# nameserver 1.1.1.1\nsearch x\nnameserver 10.0.0.2\n",
        &["10.0.0.2:53"],
    );
    check("nameserver ::1\nnameserver nonsense\n", &["[::1]:53"]);
    let four = "nameserver 1.1.1.1\n".repeat(4);
    check(&four, &["1.1.1.1:53"; 3]);
}
