//! Why a resource is refused, in the words that the user reads.
//!
//! The shape is that of Zeebe: clients and people match on the id of the element and on key
//! phrases. So a phrase, once released, stays.

use std::fmt;

/// One thing that is wrong with one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The id of the element, or, where the failing node has none, the path to it from the nearest
    /// ancestor that has one: `work > extensionElements > taskDefinition`.
    pub element: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Why a resource cannot be deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Rejection {
    /// The resource as it was named at deployment.
    pub resource_name: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It cannot be read at all.
    Unreadable(String),
    /// It can be read, but breaks rules. Never empty; in the order of the document.
    Invalid(Vec<Problem>),
}

impl Rejection {
    /// # Panics
    /// If there is no problem.
    #[must_use]
    pub fn invalid(resource_name: &str, problems: Vec<Problem>) -> Self {
        assert!(
            !problems.is_empty(),
            "a rejection of '{resource_name}' without a problem"
        );
        Rejection {
            resource_name: resource_name.to_owned(),
            reason: Reason::Invalid(problems),
        }
    }

    /// Of what could not be read.
    #[must_use]
    pub fn unreadable(resource_name: &str, text: impl fmt::Display) -> Self {
        Rejection {
            resource_name: resource_name.to_owned(),
            reason: Reason::Unreadable(text.to_string()),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}': ", self.resource_name)?;
        match &self.reason {
            Reason::Unreadable(text) => formatter.write_str(text),
            Reason::Invalid(problems) => write_problems(problems, formatter),
        }
    }
}

/// Problems of one element stand together, under the place where its first one was found.
fn write_problems(problems: &[Problem], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut written: Vec<&str> = Vec::new();
    for problem in problems {
        if written.contains(&problem.element.as_str()) {
            continue;
        }
        written.push(&problem.element);
        write!(formatter, "\n- Element: {}", problem.element)?;
        for same in problems
            .iter()
            .filter(|other| other.element == problem.element)
        {
            write!(formatter, "\n    - ERROR: {}", same.message)?;
        }
    }
    Ok(())
}
