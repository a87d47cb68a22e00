//! Tasks and the call activity.

use std::sync::Arc;

use skep_feel::Expression;

use super::{Number, Text};

/// Work done by a job worker.
#[derive(Debug)]
pub struct Job {
    /// Names the workers that may do it.
    pub job_type: Text,
    /// How often it is tried.
    pub retries: Number,
    /// Constant data for the worker.
    pub headers: Vec<Header>,
}

/// One entry of the custom headers. Keys are unique within an element.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a pair of texts")]
pub struct Header {
    pub key: Arc<str>,
    pub value: Arc<str>,
}

/// The two forms of a script task.
#[derive(Debug)]
pub enum ScriptTask {
    /// Evaluated by the engine.
    Script(Script),
    /// Done by a job worker.
    Job(Job),
}

/// A FEEL script.
#[derive(Debug)]
pub struct Script {
    /// What is evaluated.
    pub expression: Expression,
    /// Where the result goes.
    pub result_variable: Arc<str>,
}

/// The two forms of a business rule task.
#[derive(Debug)]
pub enum BusinessRuleTask {
    /// Evaluated by the engine.
    Decision(Decision),
    /// Done by a job worker.
    Job(Job),
}

/// A called decision.
#[derive(Debug)]
pub struct Decision {
    /// Which decision.
    pub decision_id: Text,
    /// Where the result goes.
    pub result_variable: Arc<str>,
    /// Which version.
    pub binding: Binding,
}

/// Which version of a called process, decision or form is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// The latest one at the time of the call.
    Latest,
    /// The one that was deployed together with the process.
    Deployment,
    /// The latest one with this tag.
    VersionTag(Arc<str>),
}

/// A called process.
#[derive(Debug)]
pub struct CallActivity {
    /// Which process.
    pub process_id: Text,
    /// Which version.
    pub binding: Binding,
    /// Whether all variables of the called instance come back.
    pub propagate_all_child_variables: bool,
    /// Whether all visible variables are given to the called instance.
    pub propagate_all_parent_variables: bool,
}

/// Work done by a person.
#[derive(Debug)]
pub struct UserTask {
    /// Who keeps it.
    pub implementation: UserTaskImplementation,
    /// The form to fill in.
    pub form: Option<Form>,
    /// Who has it. A static number is kept as its text.
    pub assignee: Option<Text>,
    /// Groups that may take it.
    pub candidate_groups: Option<Candidates>,
    /// Users that may take it.
    pub candidate_users: Option<Candidates>,
    /// When it should be done: a static ISO date-time, or an expression.
    pub due_date: Option<Text>,
    /// When to look at it again: a static ISO date-time, or an expression.
    pub follow_up_date: Option<Text>,
    /// 0 to 100; only for the native implementation.
    pub priority: Option<Number>,
    /// Constant data for the application.
    pub headers: Vec<Header>,
}

/// Who keeps a user task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserTaskImplementation {
    /// A job of the type `io.camunda.zeebe:userTask`.
    JobWorker,
    /// The engine itself.
    Native,
}

impl UserTaskImplementation {
    /// The name in texts for users.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            UserTaskImplementation::JobWorker => "job worker",
            UserTaskImplementation::Native => "zeebe user task",
        }
    }
}

/// The form of a user task.
#[derive(Debug)]
pub struct Form {
    /// Which form.
    pub reference: FormReference,
    /// Which version, if it is a deployed form.
    pub binding: Binding,
}

/// How a form is named.
#[derive(Debug)]
pub enum FormReference {
    /// A key that the application understands, or `camunda-forms:bpmn:ID` for a form embedded in
    /// the process.
    Key(Text),
    /// The id of a deployed form.
    Id(Text),
    /// A form kept elsewhere.
    External(Text),
}

/// A list of groups or users.
#[derive(Debug, Clone)]
pub enum Candidates {
    /// Known since deployment.
    Static(Vec<Arc<str>>),
    /// Must give a list of strings.
    Expression(Expression),
}
