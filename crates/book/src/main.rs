//! Makes a book of the pages in `docs/`, in `target/book`.

use mdbook_driver::MDBook;

fn main() {
    MDBook::load(".")
        .and_then(|book| book.build())
        .expect("the book can be made");
}
