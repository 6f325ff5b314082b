//! Transcripts show the output of the programs.

use assert_cmd::cargo::cargo_bin_cmd;

use super::pages;
use crate::common::ServerProcess;

/// Runs the commands of every transcript. All transcripts of a page use one server.
#[test]
fn transcripts_show_the_output_of_the_client() {
    let mut commands = 0;
    for page in pages() {
        let blocks = page.blocks();
        let transcripts: Vec<_> = blocks
            .iter()
            .filter(|block| block.info == "console")
            .collect();
        if transcripts.is_empty() {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(dir.path(), &[]);
        for transcript in transcripts {
            for step in transcript.text.split("$ ").skip(1) {
                let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
                let words = command.split('#').next().unwrap_or_default();
                let mut words = words.split_whitespace();
                assert_eq!(words.next(), Some("kvs-client"), "{}: {command}", page.path);
                let mut client = cargo_bin_cmd!("kvs-client");
                let first = words.next().into_iter();
                client.args(first.clone());
                if !first.clone().any(|word| word.starts_with('-')) {
                    client.args(["--addr", &server.addr.to_string()]);
                }
                let output = client.args(words).output().unwrap();
                let printed = [output.stdout, output.stderr].concat();
                let printed = String::from_utf8(printed).unwrap();
                println!("{}: {command}", page.path);
                snapbox::assert_data_eq!(printed, expected.to_owned());
                commands += 1;
            }
        }
    }
    assert!(commands > 0);
}
