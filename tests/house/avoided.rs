//! The words that hide the actor or the thing. There is always a name for it.

const AVOIDED: [&str; 9] = [
    "what",
    "whoever",
    "whatever",
    "nobody",
    "somebody",
    "goes on",
    "comes out",
    "come out",
    "sees to it",
];

/// Returns the avoided words of a text, and the number of all its words.
pub fn avoided(text: &str) -> (Vec<String>, usize) {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    for phrase in AVOIDED.map(|phrase| phrase.split(' ').collect::<Vec<_>>()) {
        let here = words.windows(phrase.len()).filter(|words| *words == phrase);
        found.extend(here.map(|words| words.join(" ")));
    }
    (found, words.len())
}
