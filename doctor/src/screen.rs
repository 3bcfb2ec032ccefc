//! Printing: colours on a terminal, plain text in a pipe.

use std::error::Error;
use std::io::{self, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::escape::printable;

/// Standard output or standard error.
///
/// Every text is made [printable], so that neither a token nor a provider can send commands to the terminal.
pub(crate) struct Screen {
    out: Box<dyn Write>,
}

/// The mark in front of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Pass,
    Fail,
    Warn,
    /// A check of claims that anyone may have written.
    Doubt,
    /// A fact without a verdict, or a step that did not run.
    Info,
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Fail => "✗",
            Self::Warn => "!",
            Self::Doubt => "?",
            Self::Info => "-",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Pass => AnsiColor::Green.on_default(),
            Self::Fail => AnsiColor::Red.on_default().bold(),
            Self::Warn | Self::Doubt => AnsiColor::Yellow.on_default(),
            Self::Info => DIM,
        }
    }
}

impl Screen {
    pub(crate) fn stdout() -> Self {
        Self { out: Box::new(AutoStream::auto(io::stdout())) }
    }

    pub(crate) fn stderr() -> Self {
        Self { out: Box::new(AutoStream::auto(io::stderr())) }
    }

    /// Prints a heading after an empty line.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{BOLD}{}{BOLD:#}", printable(text))
    }

    /// Prints a marked line with a label. Further lines of the text are indented below the first.
    pub(crate) fn row(&mut self, mark: Mark, label: &str, text: &str) -> io::Result<()> {
        const LABEL: usize = 14;
        let style = mark.style();
        let (label, text) = (printable(label), printable(text));
        write!(self.out, "  {style}{}{style:#} {label:LABEL$}", mark.sign())?;
        let mut lines = text.lines();
        // The first line ends even if it is empty.
        writeln!(self.out, " {}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(self.out, "{:indent$}{line}", "", indent = LABEL + 5)?;
        }
        Ok(())
    }

    /// Prints a marked sentence. Further lines of the text are indented below the first.
    pub(crate) fn note(&mut self, mark: Mark, text: &str) -> io::Result<()> {
        let style = mark.style();
        writeln!(self.out, "  {style}{}{style:#} {}", mark.sign(), printable(text).replace('\n', "\n    "))
    }

    /// Prints lines to copy, indented.
    pub(crate) fn code(&mut self, text: &str) -> io::Result<()> {
        for line in printable(text).lines() {
            writeln!(self.out, "    {line}")?;
        }
        Ok(())
    }

    /// Prints a line as it is.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", printable(text))
    }

    /// Prints JSON in ASCII: its own escapes do not include all characters that a terminal obeys.
    pub(crate) fn json(&mut self, json: &Value) -> io::Result<()> {
        let mut ascii = String::new();
        for character in format!("{json:#}").chars() {
            match character {
                '\n' | ' '..='~' => ascii.push(character),
                // Only strings have such characters.
                _ => ascii
                    .extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
            }
        }
        writeln!(self.out, "{ascii}")
    }

    /// Prints the last line: the verdict.
    pub(crate) fn verdict(&mut self, mark: Mark, text: &str) -> io::Result<()> {
        let style = mark.style();
        writeln!(self.out, "\n{style}{} {}{style:#}", mark.sign(), printable(text))
    }

    /// Prints an error with its sources.
    pub(crate) fn failure(&mut self, error: &dyn Error) -> io::Result<()> {
        let style = Mark::Fail.style();
        writeln!(self.out, "{style}error:{style:#} {}", printable(&chain(error)))
    }
}

/// Returns an error and its sources as one text.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_row_ends_its_line() {
        for (text, expected) in [
            ("", "  - label          \n"),
            ("a", "  - label          a\n"),
            ("a\nb", "  - label          a\n                   b\n"),
        ] {
            let written = Written::default();
            let plain: Box<dyn Write> = Box::new(written.clone());
            let mut screen = Screen { out: Box::new(anstream::StripStream::new(plain)) };
            screen.row(Mark::Info, "label", text).unwrap();
            assert_eq!(String::from_utf8(written.0.take()).unwrap(), expected, "{text:?}");
        }
    }
}
