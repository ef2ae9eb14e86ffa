//! The verbs that are clients, as processes: against Debian's etcd, with the output of its own
//! etcdctl beside ours. Where there is no etcd, the tests that need it say so and end. They know
//! nothing of our server.

#[cfg(test)]
mod client {
    mod etcd;
    mod formats;
    mod locks;
    mod security;
    mod trouble;
}
