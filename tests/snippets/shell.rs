//! A shell's lines as words, as far as our pages use them: quotes, comments, lines that go on,
//! pipes and lists. It runs nothing, and what it does not know it refuses.

/// The commands of a block, each as its words. Assignments before a command are left away.
pub(crate) fn commands(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut found = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let mut words = Vec::new();
        for token in tokens(line)? {
            match token {
                Token::Word(word) => words.push(word),
                Token::End => found.extend(command(std::mem::take(&mut words))),
            }
        }
        found.extend(command(words));
    }
    Ok(found)
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    End,
}

fn command(words: Vec<String>) -> Option<Vec<String>> {
    let is_assignment = |word: &String| {
        let name = word.split('=').next().unwrap_or_default();
        word.contains('=') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let words: Vec<String> = words.into_iter().skip_while(is_assignment).collect();
    (!words.is_empty()).then_some(words)
}

fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => tokens.extend(word.take().map(Token::Word)),
            '#' if word.is_none() => break,
            '\'' | '"' => {
                let quoted: String = rest.by_ref().take_while(|next| *next != c).collect();
                word.get_or_insert_default().push_str(&quoted);
            }
            '|' | ';' | '&' => {
                tokens.extend(word.take().map(Token::Word));
                tokens.push(Token::End);
                // The second of `&&` or `||`.
                rest.next_if_eq(&c);
            }
            '`' | '(' | ')' | '<' | '>' | '\\' => {
                return Err(format!("`{c}` is not known here: {line}"));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.take().map(Token::Word));
    Ok(tokens)
}

#[test]
fn lines_come_apart_as_a_shell_does_it() {
    let check = |text: &str, expected: &[&[&str]]| {
        assert_eq!(commands(text).unwrap(), expected, "{text}");
    };
    check("a b  c", &[&["a", "b", "c"]]);
    check("a 'b c' \"d e\"f", &[&["a", "b c", "d ef"]]);
    check("a \\\n  b # c\nd", &[&["a", "b"], &["d"]]);
    check(
        "A=1 B_C=2 d e=f | g && h; i",
        &[&["d", "e=f"], &["g"], &["h"], &["i"]],
    );
    check("# nothing\n\n", &[]);
    for text in ["a > b", "a $(b)", "a `b`"] {
        assert!(commands(text).is_err(), "{text}");
    }
}
