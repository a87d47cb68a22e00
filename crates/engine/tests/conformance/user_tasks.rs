//! User tasks, as jobs and kept by the engine, and their forms.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType, UserTask};
use skep_protocol::{
    Command, FormIntent, JobIntent, Key, RejectionType, ResponseResult, UserTaskIntent,
};

use crate::harness::{Harness, START};
use crate::helpers::{answered, refusal, values_of};

const JOB_TYPE: &str = "io.camunda.zeebe:userTask";

fn process(extensions: &str) -> String {
    ProcessBuilder::new("p")
        .start()
        .element("userTask", "task", "")
        .extension(extensions)
        .end()
        .xml()
}

fn native(extensions: &str) -> String {
    process(&format!("<zeebe:userTask/>{extensions}"))
}

fn running(xml: &str, variables: &str) -> Harness {
    let mut harness = Harness::with(xml);
    harness.create("p", variables);
    harness
}

/// Headers of the one job.
fn headers(harness: &mut Harness) -> serde_json::Value {
    let jobs = harness.activate(JOB_TYPE, 10);
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].1.retries, 1);
    serde_json::from_str(&jobs[0].1.custom_headers).unwrap()
}

/// Value of the last event.
fn last(harness: &Harness, intent: UserTaskIntent) -> (Key, UserTask) {
    let key = harness.events(intent).last().expect("an event").key;
    let task = values_of(harness, intent).pop();
    (key, task.expect("an event"))
}

fn ask(
    harness: &mut Harness,
    task: Key,
    intent: UserTaskIntent,
    value: UserTask,
) -> ResponseResult {
    harness.ask(Command::new(task, intent, value))
}

#[test]
fn a_task_without_properties_is_a_job_without_reserved_headers() {
    let mut harness = running(&process(""), "{}");
    assert_eq!(headers(&mut harness), serde_json::json!({}));
}

#[test]
fn properties_are_reserved_headers_beside_those_of_the_modeller() {
    let xml = process(
        r#"<zeebe:assignmentDefinition assignee="12" candidateGroups="a, b" candidateUsers="=[&quot;c&quot;, user]"/>
        <zeebe:taskSchedule dueDate="2030-01-02T03:04:05+02:00" followUpDate="=date and time(&quot;2030-01-02T03:04:05Z&quot;)"/>
        <zeebe:formDefinition formKey="=&quot;f-&quot; + user"/>
        <zeebe:taskHeaders><zeebe:header key="k" value="v"/></zeebe:taskHeaders>"#,
    );
    let mut harness = running(&xml, r#"{"user":"eve"}"#);
    let expected = serde_json::json!({
        "k": "v",
        "io.camunda.zeebe:assignee": "12",
        "io.camunda.zeebe:candidateGroups": r#"["a","b"]"#,
        "io.camunda.zeebe:candidateUsers": r#"["c","eve"]"#,
        "io.camunda.zeebe:dueDate": "2030-01-02T03:04:05+02:00",
        "io.camunda.zeebe:followUpDate": "2030-01-02T03:04:05Z",
        "io.camunda.zeebe:formKey": "f-eve",
    });
    assert_eq!(headers(&mut harness), expected);
}

#[test]
fn what_evaluates_to_nothing_is_left_out() {
    let xml = process(
        r#"<zeebe:assignmentDefinition assignee="=&quot;&quot;"/>
        <zeebe:taskSchedule dueDate="=null" followUpDate="=&quot;&quot;"/>"#,
    );
    assert_eq!(headers(&mut running(&xml, "{}")), serde_json::json!({}));
}

#[test]
fn a_property_of_the_wrong_type_is_an_incident_until_its_variable_is_mended() {
    let cases = [
        (
            r#"<zeebe:assignmentDefinition assignee="=x"/>"#,
            "5",
            "\"eve\"",
        ),
        (
            r#"<zeebe:assignmentDefinition candidateGroups="=x"/>"#,
            "5",
            "[\"a\"]",
        ),
        (
            r#"<zeebe:assignmentDefinition candidateUsers="=x"/>"#,
            "[1]",
            "[\"a\"]",
        ),
        (
            r#"<zeebe:taskSchedule dueDate="=x"/>"#,
            "\"tomorrow\"",
            "\"2030-01-01T00:00:00Z\"",
        ),
        (
            r#"<zeebe:taskSchedule followUpDate="=x"/>"#,
            "5",
            "\"2030-01-01T00:00:00Z\"",
        ),
    ];
    for (extensions, wrong, right) in cases {
        for xml in [process(extensions), native(extensions)] {
            let mut harness = running(&xml, &format!(r#"{{"x":{wrong}}}"#));
            let incidents = harness.incidents();
            assert_eq!(incidents.len(), 1, "{extensions}");
            assert_eq!(
                incidents[0].1.error_type(),
                IncidentErrorType::ExtractValueError
            );
            let instance = Key(incidents[0].1.process_instance_key);
            harness
                .set_variables(instance, &format!(r#"{{"x":{right}}}"#), false)
                .unwrap();
            harness.resolve(incidents[0].0).unwrap();
            assert!(harness.happened("task ACTIVATED"), "{extensions}");
        }
    }
}

#[test]
fn a_job_of_a_user_task_is_completed_like_any_other() {
    let mut harness = running(&process(""), "{}");
    harness.work(JOB_TYPE, r#"{"done":true}"#);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_native_task_is_kept_by_the_engine_with_all_that_it_says() {
    let xml = native(
        r#"<zeebe:assignmentDefinition assignee="eve" candidateGroups="a,b" candidateUsers="=[&quot;c&quot;]"/>
        <zeebe:taskSchedule dueDate="2030-01-02T03:04:05Z" followUpDate="2030-01-03T03:04:05Z"/>
        <zeebe:formDefinition externalReference="https://forms.example/1"/>
        <zeebe:priorityDefinition priority="=40 + 2"/>
        <zeebe:taskHeaders><zeebe:header key="k" value="v"/></zeebe:taskHeaders>"#,
    );
    let mut harness = running(&xml, "{}");
    let (key, created) = last(&harness, UserTaskIntent::Created);
    assert_eq!(
        last(&harness, UserTaskIntent::Creating),
        (key, created.clone())
    );
    let expected = UserTask {
        user_task_key: key.0,
        assignee: "eve".to_owned(),
        candidate_groups: vec!["a".to_owned(), "b".to_owned()],
        candidate_users: vec!["c".to_owned()],
        due_date: "2030-01-02T03:04:05Z".to_owned(),
        follow_up_date: "2030-01-03T03:04:05Z".to_owned(),
        form_key: -1,
        external_form_reference: "https://forms.example/1".to_owned(),
        custom_headers: r#"{"k":"v"}"#.to_owned(),
        creation_timestamp: START,
        priority: 42,
        element_id: "task".to_owned(),
        element_instance_key: harness.key_of("task").0,
        process_instance_key: created.process_instance_key,
        bpmn_process_id: "p".to_owned(),
        process_definition_version: 1,
        process_definition_key: created.process_definition_key,
        ..Default::default()
    };
    assert_eq!(created, expected);
    assert!(harness.events(JobIntent::Created).is_empty());
    assert!(harness.activate(JOB_TYPE, 1).is_empty());
}

#[test]
fn a_priority_out_of_range_is_an_incident() {
    for priority in ["=101", "=-1", "=\"high\""] {
        let priority = priority.replace('"', "&quot;");
        let xml = native(&format!(
            r#"<zeebe:priorityDefinition priority="{priority}"/>"#
        ));
        let harness = running(&xml, "{}");
        assert_eq!(harness.incidents().len(), 1, "{priority}");
    }
}

#[test]
fn a_native_task_is_completed_with_variables() {
    let mut harness = running(&native(""), r#"{"a":1}"#);
    let (key, _) = last(&harness, UserTaskIntent::Created);
    let value = UserTask {
        variables: r#"{"a":2}"#.to_owned(),
        action: "approve".to_owned(),
        ..Default::default()
    };
    ask(&mut harness, key, UserTaskIntent::Complete, value.clone()).unwrap();
    let (_, completed) = last(&harness, UserTaskIntent::Completed);
    assert_eq!(
        (completed.action.as_str(), completed.variables.as_str()),
        ("approve", r#"{"a":2}"#)
    );
    assert_eq!(harness.events(UserTaskIntent::Completing).len(), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
    let (kind, reason) = refusal(ask(&mut harness, key, UserTaskIntent::Complete, value));
    assert_eq!(kind, RejectionType::NotFound);
    assert_eq!(
        reason,
        format!("Expected to complete user task with key '{key}', but no such user task was found")
    );
}

#[test]
fn variables_of_a_completion_must_be_a_document() {
    let mut harness = running(&native(""), "{}");
    let (key, _) = last(&harness, UserTaskIntent::Created);
    let value = UserTask {
        variables: "[]".to_owned(),
        ..Default::default()
    };
    let (kind, _) = refusal(ask(&mut harness, key, UserTaskIntent::Complete, value));
    assert_eq!(kind, RejectionType::InvalidArgument);
    assert!(harness.active().contains(&"task".to_owned()));
}

fn assignee(name: &str) -> UserTask {
    UserTask {
        assignee: name.to_owned(),
        action: "give".to_owned(),
        ..Default::default()
    }
}

#[test]
fn a_native_task_is_assigned_and_taken_away() {
    let mut harness = running(&native(""), "{}");
    let (key, _) = last(&harness, UserTaskIntent::Created);
    for name in ["eve", "bob", ""] {
        ask(&mut harness, key, UserTaskIntent::Assign, assignee(name)).unwrap();
        let (_, assigned) = last(&harness, UserTaskIntent::Assigned);
        assert_eq!(
            (assigned.assignee.as_str(), assigned.action.as_str()),
            (name, "give")
        );
        assert_eq!(assigned.changed_attributes, ["assignee"]);
    }
    assert_eq!(harness.events(UserTaskIntent::Assigning).len(), 3);
}

#[test]
fn only_a_task_that_nobody_else_has_can_be_claimed() {
    let mut harness = running(&native(""), "{}");
    let (key, _) = last(&harness, UserTaskIntent::Created);
    let mut claim = |name: &str| ask(&mut harness, key, UserTaskIntent::Claim, assignee(name));
    let (kind, reason) = refusal(claim(""));
    assert_eq!(kind, RejectionType::InvalidState);
    assert!(
        reason.ends_with("but provided assignee is empty"),
        "{reason}"
    );
    claim("eve").unwrap();
    claim("eve").unwrap();
    let (kind, reason) = refusal(claim("bob"));
    assert_eq!(kind, RejectionType::InvalidState);
    assert!(
        reason.ends_with("but it has already been assigned"),
        "{reason}"
    );
}

#[test]
fn an_update_changes_what_it_lists_and_nothing_else() {
    let mut harness = running(
        &native(r#"<zeebe:assignmentDefinition candidateGroups="a"/>"#),
        "{}",
    );
    let (key, _) = last(&harness, UserTaskIntent::Created);
    let value = UserTask {
        candidate_groups: vec!["b".to_owned()],
        candidate_users: vec!["c".to_owned()],
        due_date: "2031-01-01T00:00:00Z".to_owned(),
        priority: 7,
        changed_attributes: vec!["candidateUsersList".to_owned(), "dueDate".to_owned()],
        action: "edit".to_owned(),
        ..Default::default()
    };
    ask(&mut harness, key, UserTaskIntent::Update, value.clone()).unwrap();
    let (_, updated) = last(&harness, UserTaskIntent::Updated);
    assert_eq!(updated.candidate_groups, ["a"]);
    assert_eq!(updated.candidate_users, ["c"]);
    assert_eq!(updated.due_date, "2031-01-01T00:00:00Z");
    assert_eq!((updated.priority, updated.action.as_str()), (50, "edit"));
    let wrong = UserTask {
        changed_attributes: vec!["elementId".to_owned()],
        ..value
    };
    let (kind, _) = refusal(ask(&mut harness, key, UserTaskIntent::Update, wrong));
    assert_eq!(kind, RejectionType::InvalidArgument);
}

#[test]
fn a_native_task_of_a_cancelled_instance_is_cancelled() {
    let mut harness = Harness::with(&native(""));
    let instance = harness.create("p", "{}");
    harness.cancel(instance).unwrap();
    assert_eq!(harness.events(UserTaskIntent::Canceling).len(), 1);
    assert_eq!(harness.events(UserTaskIntent::Canceled).len(), 1);
    harness.assert_clean();
}

#[test]
fn unknown_tasks_are_not_found() {
    let mut harness = running(&native(""), "{}");
    for intent in [
        UserTaskIntent::Complete,
        UserTaskIntent::Assign,
        UserTaskIntent::Claim,
        UserTaskIntent::Update,
    ] {
        let (kind, _) = refusal(ask(&mut harness, Key(99), intent, assignee("eve")));
        assert_eq!(kind, RejectionType::NotFound);
    }
}

const FORM: &str = r#"{"id":"f","components":[]}"#;

fn deployed_forms(answer: ResponseResult) -> Vec<values::FormMetadata> {
    answered::<values::Deployment>(answer).forms
}

#[test]
fn an_unchanged_form_is_a_duplicate_and_a_changed_one_a_new_version() {
    let mut harness = Harness::new();
    let first = deployed_forms(harness.deploy_resources(&[("f.form", FORM)]));
    let again = deployed_forms(harness.deploy_resources(&[("f.form", FORM)]));
    let renamed = deployed_forms(harness.deploy_resources(&[("g.form", FORM)]));
    assert_eq!(
        (
            first[0].form_id.as_str(),
            first[0].version,
            first[0].duplicate
        ),
        ("f", 1, false)
    );
    assert_eq!(
        (again[0].form_key, again[0].version, again[0].duplicate),
        (first[0].form_key, 1, true)
    );
    assert_eq!((renamed[0].version, renamed[0].duplicate), (2, false));
    let created: Vec<values::Form> = values_of(&harness, FormIntent::Created);
    assert_eq!(created.len(), 2);
    assert_eq!(created[0].resource, FORM.as_bytes());
}

#[test]
fn a_form_without_an_id_is_refused() {
    let mut harness = Harness::new();
    let cases = [
        (
            "{}",
            "'f.form': Expected the form id to be present, but none given",
        ),
        (
            r#"{"id":" "}"#,
            "'f.form': Expected the form id to be filled, but it is blank",
        ),
        ("5", "'f.form': Expected a form as a JSON object"),
        (r#"{"id":5}"#, "'f.form': Expected a form as a JSON object"),
    ];
    for (content, expected) in cases {
        let (kind, reason) = refusal(harness.deploy_resources(&[("f.form", content)]));
        assert_eq!(kind, RejectionType::InvalidArgument);
        assert!(reason.contains(expected), "{reason}");
    }
    let twice = harness.deploy_resources(&[("f.form", FORM), ("g.form", FORM)]);
    let (_, reason) = refusal(twice);
    assert!(
        reason.contains("Duplicated form id 'f' in resources 'f.form' and 'g.form'"),
        "{reason}"
    );
}

#[test]
fn a_form_id_means_the_latest_form_and_is_an_incident_until_there_is_one() {
    let extensions = r#"<zeebe:formDefinition formId="f"/>"#;
    let mut harness = Harness::with(&native(extensions));
    harness.create("p", "{}");
    let incidents = harness.incidents();
    assert_eq!(incidents[0].1.error_type(), IncidentErrorType::FormNotFound);
    let first = deployed_forms(harness.deploy_resources(&[("f.form", FORM)]));
    harness.resolve(incidents[0].0).unwrap();
    assert_eq!(
        last(&harness, UserTaskIntent::Created).1.form_key,
        first[0].form_key
    );
    let second = deployed_forms(harness.deploy_resources(&[("g.form", FORM)]));
    harness.create("p", "{}");
    assert_eq!(
        last(&harness, UserTaskIntent::Created).1.form_key,
        second[0].form_key
    );

    let mut harness = running(&process(extensions), "{}");
    harness.deploy_resources(&[("f.form", FORM)]).unwrap();
    let incident = harness.incidents()[0].0;
    harness.resolve(incident).unwrap();
    let key = harness.events(FormIntent::Created)[0].key;
    assert_eq!(
        headers(&mut harness),
        serde_json::json!({"io.camunda.zeebe:formKey": key.to_string()})
    );
}

#[test]
fn a_form_can_be_bound_to_its_deployment_or_to_a_tag() {
    let tagged = r#"{"id":"f","versionTag":"stable"}"#;
    let with = native(r#"<zeebe:formDefinition formId="f" bindingType="deployment"/>"#);
    let mut harness = Harness::new();
    let answer = harness.deploy_resources(&[("p.bpmn", &with), ("f.form", tagged)]);
    let first = deployed_forms(answer);
    harness.deploy_resources(&[("f.form", FORM)]).unwrap();
    harness.create("p", "{}");
    let form_key = |harness: &Harness| last(harness, UserTaskIntent::Created).1.form_key;
    assert_eq!(form_key(&harness), first[0].form_key);
    let by_tag = |tag: &str| {
        native(&format!(
            r#"<zeebe:formDefinition formId="f" bindingType="versionTag" versionTag="{tag}"/>"#
        ))
    };
    harness.deploy(&by_tag("stable"));
    harness.create("p", "{}");
    assert_eq!(form_key(&harness), first[0].form_key);
    assert!(harness.incidents().is_empty());
    harness.deploy(&by_tag("other"));
    harness.create("p", "{}");
    let deployment = harness.deploy_resources(&[("p.bpmn", &with)]).unwrap().key;
    harness.create("p", "{}");
    let messages = [
        "Expected to use a form with id 'f' and version tag 'other', but no such form found. \
         To resolve the incident, deploy a form with the given id and version tag."
            .to_owned(),
        format!(
            "Expected to use a form with id 'f' with binding type 'deployment', but no such form found in the deployment \
             with key {deployment} which contained the current process. To resolve this incident, migrate the process \
             instance to a process definition that is deployed together with the intended form to use."
        ),
    ];
    for ((_, incident), message) in harness.incidents().iter().zip(messages) {
        assert_eq!(incident.error_type(), IncidentErrorType::FormNotFound);
        assert_eq!(incident.error_message, message);
    }
}

#[test]
fn a_form_in_the_process_is_a_key_for_jobs_and_nothing_to_the_engine() {
    let with_form = |task: &str| {
        ProcessBuilder::new("p")
            .extension(r#"<zeebe:userTaskForm id="inside">{"components":[]}</zeebe:userTaskForm>"#)
            .start()
            .element("userTask", "task", "")
            .extension(task)
            .end()
            .xml()
    };
    let by_key = r#"<zeebe:formDefinition formKey="camunda-forms:bpmn:inside"/>"#;
    let mut harness = running(&with_form(by_key), "{}");
    assert_eq!(
        headers(&mut harness),
        serde_json::json!({"io.camunda.zeebe:formKey": "camunda-forms:bpmn:inside"})
    );
    let harness = running(&with_form("<zeebe:userTask/>"), "{}");
    let (_, task) = last(&harness, UserTaskIntent::Created);
    assert_eq!(
        (task.form_key, task.external_form_reference.as_str()),
        (-1, "")
    );
}
