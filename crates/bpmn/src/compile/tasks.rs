//! Tasks and call activities.

use std::sync::Arc;

use super::Compiler;
use crate::document::{FlowNode, Node, extension, flag, non_empty, zeebe_children};
use crate::model::{
    Binding, BusinessRuleTask, CallActivity, Candidates, Decision, Form, FormReference, Header,
    Job, Script, ScriptTask, Text, UserTask, UserTaskImplementation,
};

impl<'a> Compiler<'_, 'a> {
    pub(super) fn job(&mut self, node: &FlowNode<'a>) -> Option<Job> {
        let definition = extension(node.node, "taskDefinition")?;
        let (job_type, retries) = (self.text(definition, "type"), self.retries(definition));
        Some(Job {
            job_type: job_type?,
            retries: retries?,
            headers: headers(node.node),
        })
    }

    pub(super) fn script_task(&mut self, node: &FlowNode<'a>) -> Option<ScriptTask> {
        let Some(script) = extension(node.node, "script") else {
            return self.job(node).map(ScriptTask::Job);
        };
        Some(ScriptTask::Script(Script {
            expression: self.expression(script, "expression")?,
            result_variable: non_empty(script, "resultVariable")?.into(),
        }))
    }

    pub(super) fn business_rule_task(&mut self, node: &FlowNode<'a>) -> Option<BusinessRuleTask> {
        let Some(decision) = extension(node.node, "calledDecision") else {
            return self.job(node).map(BusinessRuleTask::Job);
        };
        Some(BusinessRuleTask::Decision(Decision {
            decision_id: self.text(decision, "decisionId")?,
            result_variable: non_empty(decision, "resultVariable")?.into(),
            binding: binding(decision)?,
        }))
    }

    pub(super) fn call_activity(&mut self, node: &FlowNode<'a>) -> Option<CallActivity> {
        let called = extension(node.node, "calledElement")?;
        Some(CallActivity {
            process_id: self.text(called, "processId")?,
            binding: binding(called)?,
            propagate_all_child_variables: flag(called, "propagateAllChildVariables", true),
            propagate_all_parent_variables: flag(called, "propagateAllParentVariables", true),
        })
    }

    pub(super) fn user_task(&mut self, node: &FlowNode<'a>) -> Option<UserTask> {
        let native = extension(node.node, "userTask").is_some();
        let assignment = extension(node.node, "assignmentDefinition");
        let schedule = extension(node.node, "taskSchedule");
        // Each part is tried before any is missed.
        let form = self.form(node);
        let assignee = self.optional_text(assignment, "assignee");
        let candidate_groups = self.candidates(assignment, "candidateGroups");
        let candidate_users = self.candidates(assignment, "candidateUsers");
        let due_date = self.optional_text(schedule, "dueDate");
        let follow_up_date = self.optional_text(schedule, "followUpDate");
        let priority = match extension(node.node, "priorityDefinition") {
            Some(definition) => Some(self.number(definition, "priority")?),
            None => None,
        };
        Some(UserTask {
            implementation: if native {
                UserTaskImplementation::Native
            } else {
                UserTaskImplementation::JobWorker
            },
            form: form?,
            assignee: assignee?,
            candidate_groups: candidate_groups?,
            candidate_users: candidate_users?,
            due_date: due_date?,
            follow_up_date: follow_up_date?,
            priority,
            headers: headers(node.node),
        })
    }

    #[expect(clippy::option_option, reason = "a problem is not the same as no form")]
    fn form(&mut self, node: &FlowNode<'a>) -> Option<Option<Form>> {
        let Some(form) = extension(node.node, "formDefinition") else {
            return Some(None);
        };
        let reference = if form.has_attribute("formKey") {
            FormReference::Key(self.text(form, "formKey")?)
        } else if form.has_attribute("formId") {
            FormReference::Id(self.text(form, "formId")?)
        } else {
            FormReference::External(self.text(form, "externalReference")?)
        };
        Some(Some(Form {
            reference,
            binding: binding(form)?,
        }))
    }

    #[expect(
        clippy::option_option,
        reason = "a problem is not the same as no candidates"
    )]
    fn candidates(
        &mut self,
        assignment: Option<Node<'a>>,
        attribute: &str,
    ) -> Option<Option<Candidates>> {
        Some(
            self.optional_text(assignment, attribute)?
                .map(|text| match text {
                    Text::Expression(expression) => Candidates::Expression(expression),
                    Text::Static(list) => {
                        Candidates::Static(list.split(',').map(|name| name.trim().into()).collect())
                    }
                }),
        )
    }
}

/// Headers without a key or a value say nothing and are dropped.
fn headers(node: Node<'_>) -> Vec<Header> {
    let Some(headers) = extension(node, "taskHeaders") else {
        return Vec::new();
    };
    zeebe_children(headers, "header")
        .filter_map(|header| {
            let (key, value) = (non_empty(header, "key")?, non_empty(header, "value")?);
            Some(Header {
                key: key.into(),
                value: value.into(),
            })
        })
        .collect()
}

fn binding(called: Node<'_>) -> Option<Binding> {
    Some(match called.attribute("bindingType") {
        None | Some("latest") => Binding::Latest,
        Some("deployment") => Binding::Deployment,
        Some("versionTag") => Binding::VersionTag(Arc::from(non_empty(called, "versionTag")?)),
        Some(_) => return None,
    })
}
