//! Tokens, and the files that hold them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use kvs::client::blocking::KvsClient;
use kvs::server::Limits;
use kvs::{KvsError, KvsServer, Token};

use super::{GET_K, has_code};
use crate::common::{ANY_PORT, Store, TestServer, Wire, token_file};

#[test]
fn without_the_token_nothing_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let token = Token::new("secret").unwrap();
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).token(token.clone());
    let server = TestServer::serve(server);

    let mut stranger = Wire::connect(server.addr);
    stranger.send(GET_K);
    stranger.expect_error("unauthorized");
    stranger.expect_end();
    // Invalid JSON is not a token either.
    let mut babbler = Wire::connect(server.addr);
    babbler.send("x");
    babbler.expect_error("unauthorized");
    babbler.expect_end();
    let mut liar = KvsClient::connect(server.addr).unwrap();
    let wrong = liar.auth(&Token::new("guess").unwrap());
    assert!(has_code(wrong, "unauthorized"));
    assert!(liar.get("k".to_owned()).is_err());
    // A peer without the token may not send long frames.
    let mut long = Wire::connect(server.addr);
    long.0.write_all(&100_000_u32.to_be_bytes()).unwrap();
    long.expect_error("frame_too_long");

    let mut friend = KvsClient::connect(server.addr).unwrap();
    friend.auth(&token).unwrap();
    friend.set("k".to_owned(), "v".to_owned()).unwrap();
    assert_eq!(friend.stats().unwrap().wrong_tokens, 1);
}

#[test]
fn without_the_token_no_time_can_be_won() {
    let dir = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.frame_time = Duration::from_millis(200);
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).limits(limits);
    let server = TestServer::serve(server.token(Token::new("secret").unwrap()));

    let mut silent = Wire::connect(server.addr);
    silent.expect_error("too_slow");
    silent.expect_end();
}

#[test]
fn others_than_this_machine_need_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let everywhere = ([0, 0, 0, 0], 0).into();
    let open = || Store::open(dir.path(), 2).unwrap();
    let refused = KvsServer::new(open()).bind(everywhere).err();
    assert!(matches!(refused, Some(KvsError::Unprotected { .. })));
    let token = Token::new("secret").unwrap();
    KvsServer::new(open())
        .token(token)
        .bind(everywhere)
        .unwrap();
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, " secret\n").unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let error = Token::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    mode(0o600);
    assert_eq!(Token::from_file(&path).unwrap().reveal(), "secret");
    fs::write(&path, "\n").unwrap();
    assert!(matches!(
        Token::from_file(&path),
        Err(KvsError::BadToken { .. })
    ));
}

/// Returns the errors of a text that is not a token, read from a file and given directly.
fn reasons(text: &str) -> [String; 2] {
    let dir = tempfile::tempdir().unwrap();
    let from_file = Token::from_file(&token_file(dir.path(), text));
    [from_file, Token::new(text)].map(|token| token.unwrap_err().to_string())
}

#[test]
fn a_token_is_the_same_with_white_space_around_it() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["se cret", " se cret", "se cret\r\n", "\u{feff}se cret \n\n"] {
        let from_file = Token::from_file(&token_file(dir.path(), text));
        for token in [from_file, Token::new(text)] {
            assert_eq!(token.unwrap().reveal(), "se cret", "{text:?}");
        }
    }
    for text in ["", " \n"] {
        for reason in reasons(text) {
            assert!(reason.contains("is empty"), "{reason}");
        }
    }
    for text in ["two\nlines", "zero\0"] {
        for reason in reasons(text) {
            assert!(reason.contains("control character"), "{reason}");
        }
    }
}

#[test]
fn a_token_that_no_client_could_show_is_refused() {
    // The rest of the frame takes 21 bytes, and a quote takes two.
    for longest in ["t".repeat(4096 - 21), "\"".repeat((4096 - 21) / 2)] {
        let token = Token::new(&longest[..]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let server = KvsServer::new(Store::open(dir.path(), 2).unwrap());
        let server = TestServer::serve(server.token(token.clone()));
        let mut client = KvsClient::connect(server.addr).unwrap();
        client.auth(&token).unwrap();
        for reason in reasons(&format!("{longest}\"")) {
            assert!(
                reason.contains("token") && reason.contains("4096"),
                "{reason}"
            );
        }
    }
    // If the limit on frames is lower, so is the limit on tokens.
    let mut limits = Limits::default();
    limits.frame_bytes = 100;
    let dir = tempfile::tempdir().unwrap();
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).limits(limits);
    let refused = server
        .token(Token::new("t".repeat(80)).unwrap())
        .bind(ANY_PORT);
    let reason = refused.err().unwrap().to_string();
    assert!(
        reason.contains("101 bytes") && reason.contains("100"),
        "{reason}"
    );
}

#[test]
fn a_file_without_a_token_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path, expected: &str| {
        let error = Token::from_file(path).unwrap_err();
        assert!(matches!(error, KvsError::BadToken { .. }), "{error}");
        let error = error.to_string();
        assert!(
            error.contains(path.to_str().unwrap()) && error.contains(expected),
            "{error}"
        );
    };
    for path in [dir.path(), Path::new("/dev/zero")] {
        refused(path, "neither a file nor a pipe");
    }
    refused(&token_file(dir.path(), b"\xff"), "is not UTF-8");
    let file = token_file(dir.path(), "t");
    // The server reads only the beginning of a long file.
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    refused(&file, "is longer than");
    fs::remove_file(&file).unwrap();
    let error = Token::from_file(&file).unwrap_err();
    assert!(matches!(error, KvsError::Io { .. }), "{error}");
}

/// Kubernetes mounts a secret as a link to a link, so that it can replace all files at once.
#[test]
fn a_token_is_read_through_links_with_the_mode_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let version = dir.path().join("..2026");
    fs::create_dir(&version).unwrap();
    let file = token_file(&version, "secret");
    symlink("..2026", dir.path().join("..data")).unwrap();
    let link = dir.path().join("token");
    symlink("..data/token", &link).unwrap();
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o400);
    assert_eq!(Token::from_file(&link).unwrap().reveal(), "secret");
    mode(0o444);
    let error = Token::from_file(&link).unwrap_err().to_string();
    assert!(error.contains("mode 444"), "{error}");
}
