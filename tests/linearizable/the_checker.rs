//! Tests of the checker, with drawn histories. Each line has the effect of a request, and `[` and
//! `]` mark when its client began and ended to wait. A request without an answer has no `]`.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::common::linear::{Effect, NEVER, Operation, linearize};

fn draw(picture: &str) -> Vec<Operation> {
    let lines = picture.lines().filter(|line| !line.trim().is_empty());
    let operation = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let effect = match words[..] {
            ["got", "nothing", ..] => Effect::Got(None),
            ["got", value, ..] => Effect::Got(Some(value.to_owned())),
            ["set", value, ..] => Effect::Set(value.to_owned()),
            ["removed", ..] => Effect::Removed,
            ["not", "found", ..] => Effect::NotFound,
            _ => panic!("{line}"),
        };
        let column = |mark| line.find(mark).map(|column| column as u64);
        Operation {
            effect,
            began: column('[').unwrap(),
            ended: column(']').unwrap_or(NEVER),
        }
    };
    lines.map(operation).collect()
}

fn accepts(picture: &str) {
    linearize(&draw(picture)).unwrap();
}

fn rejects(picture: &str) {
    linearize(&draw(picture)).unwrap_err();
}

#[test]
fn accepts_requests_one_after_the_other() {
    accepts("");
    accepts(
        "
        got nothing  []
        not found      []
        set a            []
        got a              []
        set b                []
        got b                  []
        removed                  []
        got nothing                []
        not found                    []
        ",
    );
}

#[test]
fn accepts_either_order_of_overlapping_requests() {
    accepts(
        "
        set a        [----]
        got nothing   []
        got a           []
        ",
    );
    accepts(
        "
        set a        [------]
        set b         [----]
        got b          [-]
        got a             [-----]
        ",
    );
    accepts(
        "
        set a        []
        removed        [---]
        set b           [---]
        not found        [---]
        got b                  []
        ",
    );
    accepts(
        "
        set a        [------------]
        set b         [-----------]
        set c          [----------]
        got c           []
        got b             []
        got a               []
        ",
    );
}

#[test]
fn accepts_any_time_for_a_request_without_an_answer() {
    accepts(
        "
        set a        [
        got nothing    []
        got a            []
        ",
    );
    accepts(
        "
        set a        [
        got nothing    []
        not found        []
        ",
    );
    accepts(
        "
        set a        []
        removed        [
        set b            [
        got a              []
        got nothing          []
        got b                  []
        ",
    );
}

#[test]
fn rejects_a_stale_read() {
    rejects(
        "
        set a        []
        set b          []
        got a            []
        ",
    );
    rejects(
        "
        set a        []
        got nothing    []
        ",
    );
    rejects(
        "
        set a        []
        removed        []
        got a            []
        ",
    );
}

#[test]
fn rejects_a_read_of_a_value_that_was_never_written() {
    rejects(
        "
        set a        [----]
        got b          []
        ",
    );
    rejects(
        "
        got a        []
        set a          [
        ",
    );
}

#[test]
fn rejects_reads_that_go_back() {
    rejects(
        "
        set a        [--------]
        got a          []
        got nothing      []
        ",
    );
    rejects(
        "
        set a        [--------]
        set b        [--------]
        got a          []
        got b            []
        got a              []
        ",
    );
}

#[test]
fn rejects_a_lost_write() {
    rejects(
        "
        set a        []
        set b          [---]
        removed        [---]
        removed             []
        got a                 []
        ",
    );
    rejects(
        "
        set a        [---]
        not found         []
        ",
    );
}

#[test]
fn rejects_two_removals_of_one_value() {
    rejects(
        "
        set a        [----]
        removed       [----]
        removed        [----]
        ",
    );
}

#[test]
fn rejects_a_second_effect_of_a_request_without_an_answer() {
    rejects(
        "
        set a        [
        got a          []
        set b            []
        got b              []
        got a                []
        ",
    );
    rejects(
        "
        set a        []
        removed        [
        got nothing      []
        set b              []
        not found            []
        ",
    );
}

#[test]
fn agrees_with_the_definition_on_small_histories() {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut accepted = 0;
    for _ in 0..2000 {
        let history: Vec<_> = (0..8).map(|n| operation(n, &mut rng)).collect();
        let found = linearize(&history);
        assert_eq!(found.is_ok(), has_an_order(&history, None), "{history:#?}");
        accepted += u32::from(found.is_ok());
    }
    assert!((100..1900).contains(&accepted), "{accepted}");
}

fn operation(n: u32, rng: &mut SmallRng) -> Operation {
    let effect = match rng.random_range(0..8) {
        0..3 => Effect::Set(n.to_string()),
        3..5 => Effect::Got(Some(rng.random_range(0..8).to_string())),
        5 => Effect::Got(None),
        6 => Effect::Removed,
        _ => Effect::NotFound,
    };
    let began = rng.random_range(0..8);
    let is_write = matches!(effect, Effect::Set(_) | Effect::Removed);
    let ended = if is_write && rng.random_bool(0.3) {
        NEVER
    } else {
        began + rng.random_range(1..6)
    };
    Operation {
        effect,
        began,
        ended,
    }
}

/// Returns whether a history has an order, by trying all orders.
fn has_an_order(left: &[Operation], value: Option<&str>) -> bool {
    let can_be_first = |n: usize| {
        let mut others = left.to_vec();
        let first = others.remove(n);
        let is_in_time = others.iter().all(|op| first.began < op.ended);
        let after = first.effect.apply(value);
        is_in_time && after.is_some_and(|value| has_an_order(&others, value))
    };
    left.iter().all(|op| op.ended == NEVER) || (0..left.len()).any(can_be_first)
}
