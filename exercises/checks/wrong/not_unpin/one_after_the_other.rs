//! Fails: the_first_answer_counts: `faster` waits for the other one

fn main() {}

async fn faster<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    let output = a.await;
    drop(b);
    output
}
