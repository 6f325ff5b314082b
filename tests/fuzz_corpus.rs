//! Runs the inputs in `fuzz/corpus`. `tests/fuzz/mod.rs` says how to find more.

mod fuzz;

use std::fs;
use std::path::Path;

fn for_each_input(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut count = 0;
    for entry in fs::read_dir(corpus.join(target)).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn no_files_make_a_store_panic_or_lie() {
    for_each_input("segment", fuzz::segment);
}

#[test]
fn no_bytes_make_the_protocol_panic_or_depend_on_how_they_arrive() {
    for_each_input("frame", fuzz::frame);
}
