//! Types, as written after `instance of` and for parameters.

use std::sync::Arc;

use super::{Parsed, Parser};
use crate::ast::{EntryKinds, Kind};
use crate::lexer::TokenKind;

impl Parser<'_> {
    pub(super) fn kind(&mut self) -> Parsed<Kind> {
        self.nested(Parser::kind_inner)
    }

    fn kind_inner(&mut self) -> Parsed<Kind> {
        let name = self.kind_name()?;
        Ok(match &*name {
            "Any" => Kind::Any,
            "Null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "number" => Kind::Number,
            "string" => Kind::String,
            "date" => Kind::Date,
            "time" => Kind::Time,
            "date and time" => Kind::DateTime,
            "days and time duration" | "day-time-duration" => Kind::DaysTimeDuration,
            "years and months duration" | "year-month-duration" => Kind::YearsMonthsDuration,
            "list" => Kind::List(self.element_kind()?),
            "range" => Kind::Range(self.element_kind()?),
            "context" => Kind::Context(self.entry_kinds()?),
            "function" => Kind::Function(self.function_kind()?),
            _ => match self.types.and_then(|types| types.get(&name)) {
                Some(kind) => kind.clone(),
                None => Kind::Unknown(name),
            },
        })
    }

    /// Words joined by one space, up to something that can't belong to a type.
    fn kind_name(&mut self) -> Parsed<Arc<str>> {
        const SPACED: [&str; 5] = [
            "date and time",
            "days and time duration",
            "years and months duration",
            "day-time-duration",
            "year-month-duration",
        ];
        if self.token.kind != TokenKind::Name {
            return Err(self.unexpected("a type"));
        }
        for spaced in SPACED {
            if let Some(end) =
                crate::builtins::match_words(self.lexer.source, self.token.start, spaced)
            {
                self.continue_at(end)?;
                return Ok(spaced.into());
            }
        }
        let spaced = match self.spaced_type() {
            Some(found) => Some(found),
            None => self.spaced_name(),
        };
        if let Some((name, end)) = spaced {
            self.continue_at(end)?;
            return Ok(name);
        }
        let mut name = self.text(self.token).to_owned();
        self.advance()?;
        // Types of imported models are qualified by the import's name.
        while self.eat_symbol(".")? {
            if self.token.kind != TokenKind::Name {
                return Err(self.unexpected("a type"));
            }
            name.push('.');
            name.push_str(self.text(self.token));
            self.advance()?;
        }
        Ok(name.into())
    }

    fn element_kind(&mut self) -> Parsed<Option<Arc<Kind>>> {
        if !self.eat_symbol("<")? {
            return Ok(None);
        }
        let kind = self.kind()?;
        self.expect_symbol(">")?;
        Ok(Some(Arc::new(kind)))
    }

    fn entry_kinds(&mut self) -> Parsed<Option<EntryKinds>> {
        if !self.eat_symbol("<")? {
            return Ok(None);
        }
        let mut entries = Vec::new();
        while !self.eat_symbol(">")? {
            let key = self.new_name(&[":"])?;
            self.expect_symbol(":")?;
            entries.push((key, self.kind()?));
            if !self.is_symbol(">") {
                self.expect_symbol(",")?;
            }
        }
        Ok(Some(entries.into()))
    }

    /// `<kind, …> -> kind`; of it only the number of parameters can be told of a value.
    fn function_kind(&mut self) -> Parsed<Option<usize>> {
        if !self.eat_symbol("<")? {
            return Ok(None);
        }
        let mut parameters = 0;
        while !self.eat_symbol(">")? {
            self.kind()?;
            parameters += 1;
            if !self.is_symbol(">") {
                self.expect_symbol(",")?;
            }
        }
        self.expect_symbol("->")?;
        self.kind()?;
        Ok(Some(parameters))
    }
}
