//! Who asks, by what they show.

use bytes::Bytes;
use raft_kv::AuthCommand;
use raft_kv::auth::{Hidden, ROOT};

use super::*;

const CLUSTER: u64 = 7;

fn users(trusts_certificates: bool) -> Users {
    let config = AuthConfig {
        token_ttl: Duration::from_secs(300),
        bcrypt_cost: 4,
    };
    Users::new(CLUSTER, config, trusts_certificates)
}

fn enable() -> AuthCommand {
    AuthCommand::Enable {
        secret: Hidden(Bytes::from(draw_secret().expect("chance"))),
    }
}

fn add(name: &str) -> AuthCommand {
    AuthCommand::UserAdd {
        name: name.to_owned(),
        password: Some(Hidden::default()),
    }
}

fn enabled() -> Auth {
    let mut auth = Auth::default();
    let root = AuthCommand::UserGrantRole {
        name: ROOT.to_owned(),
        role: ROOT.to_owned(),
    };
    for command in [add(ROOT), root, add("ann"), enable()] {
        auth.change(&command).expect("it is allowed");
    }
    auth
}

fn token(token: &str) -> Shown {
    Shown {
        token: Some(token.to_owned()),
        common_name: Some("bob".into()),
    }
}

const INVALID: Result<Option<String>, Refusal> = Err(Refusal::InvalidAuthToken);

#[test]
fn a_token_goes_before_a_certificate_which_counts_only_where_all_show_one() {
    let auth = enabled();
    let ann = users(true).token(&auth, "ann");
    let by_name = Shown {
        token: None,
        common_name: Some("ann".into()),
    };
    let user = |is_trusted: bool, shown: &Shown| users(is_trusted).user(&auth, shown);
    let is = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(user(true, &token(&ann)), is("ann"));
    assert_eq!(user(true, &token("abcdefghijklmnop.12")), INVALID);
    assert_eq!(user(true, &by_name), is("ann"));
    assert_eq!(user(false, &by_name), Ok(None));
    let of_nobody = Shown {
        token: None,
        common_name: Some("carl".into()),
    };
    assert_eq!(user(true, &of_nobody), Ok(None), "no user is called so");
    assert_eq!(user(true, &Shown::default()), Ok(None));
}

#[test]
fn a_token_ends_with_the_password_the_user_and_the_secret() {
    let users = users(false);
    let change = AuthCommand::UserChangePassword {
        name: "ann".to_owned(),
        password: Hidden::default(),
    };
    let delete = AuthCommand::UserDelete {
        name: "ann".to_owned(),
    };
    let others = AuthCommand::RoleAdd {
        name: "role".to_owned(),
    };
    for (commands, is_good) in [
        (vec![others], true),
        (vec![change], false),
        (vec![delete.clone()], false),
        (vec![delete, add("ann")], false),
        (vec![AuthCommand::Disable, enable()], false),
    ] {
        let mut auth = enabled();
        let ann = token(&users.token(&auth, "ann"));
        assert!(users.user(&auth, &ann).is_ok());
        for command in &commands {
            auth.change(command).expect("it is allowed");
        }
        let found = users.user(&auth, &ann);
        assert_eq!(found.is_ok(), is_good, "{commands:?}");
        let again = token(&users.token(&auth, "ann"));
        let has_user = auth.user("ann").is_some();
        assert_eq!(users.user(&auth, &again).is_ok(), has_user, "{commands:?}");
    }
}

#[test]
fn any_member_knows_a_token_and_no_other_cluster_does() {
    let auth = enabled();
    let ann = token(&users(false).token(&auth, "ann"));
    assert!(users(false).user(&auth, &ann).is_ok(), "another member");
    let config = AuthConfig {
        token_ttl: Duration::from_secs(300),
        bcrypt_cost: 4,
    };
    let restored = Users::new(CLUSTER + 1, config, false);
    assert_eq!(restored.user(&auth, &ann), INVALID);
}

#[test]
fn a_token_that_nobody_uses_ends() {
    let (auth, users) = (enabled(), users(false));
    let ann = token(&users.token(&auth, "ann"));
    let now = now_s();
    assert!(users.user_at(&auth, &ann, now + 290).is_ok());
    assert!(users.user_at(&auth, &ann, now + 580).is_ok());
    assert_eq!(users.user_at(&auth, &ann, now + 900), INVALID);
}

#[test]
fn tokens_are_shown_as_clients_and_the_gateway_show_them() {
    for (name, value) in [
        ("token", "t"),
        ("authorization", "t"),
        ("authorization", "Bearer t"),
    ] {
        let mut request = Request::new(());
        let value = value.parse().expect("letters");
        request.metadata_mut().insert(name, value);
        assert_eq!(Shown::by(&request).token.as_deref(), Some("t"), "{name}");
    }
    assert_eq!(Shown::by(&Request::new(())), Shown::default());
}
