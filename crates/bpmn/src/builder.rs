//! Builds the XML of processes for tests.
//!
//! A cursor stands on the element added last; the next one is connected to it. Whatever the builder
//! has no word for goes through [`ProcessBuilder::element`] and [`ProcessBuilder::definitions`].
//!
//! ```
//! use skep_bpmn::builder::ProcessBuilder;
//!
//! let xml = ProcessBuilder::new("order")
//!     .start()
//!     .exclusive_gateway("large")
//!     .condition("=total > 100")
//!     .service_task("check", "check-order")
//!     .end()
//!     .move_to("large")
//!     .default_flow()
//!     .end()
//!     .xml();
//! assert_eq!(skep_bpmn::parse("order.bpmn", xml.as_bytes()).unwrap().len(), 1);
//! ```

use std::fmt::Write as _;

/// A process that is being built.
#[derive(Debug, Clone)]
pub struct ProcessBuilder {
    elements: Vec<Built>,
    flows: Vec<BuiltFlow>,
    definitions: String,
    /// The scopes that are open, from the process inwards.
    scopes: Vec<usize>,
    cursor: Option<usize>,
    condition: Option<String>,
    default_flow: bool,
}

#[derive(Debug, Clone, Default)]
struct Built {
    scope: usize,
    tag: String,
    id: String,
    attributes: String,
    extensions: String,
    mappings: String,
    headers: String,
    content: String,
}

#[derive(Debug, Clone)]
struct BuiltFlow {
    id: String,
    source: usize,
    target: usize,
    condition: Option<String>,
}

impl ProcessBuilder {
    /// An executable process of this id.
    #[must_use]
    pub fn new(process_id: &str) -> Self {
        let process = Built {
            tag: "process".to_owned(),
            id: process_id.to_owned(),
            attributes: " isExecutable=\"true\"".to_owned(),
            ..Built::default()
        };
        ProcessBuilder {
            elements: vec![process],
            flows: Vec::new(),
            definitions: String::new(),
            scopes: vec![0],
            cursor: None,
            condition: None,
            default_flow: false,
        }
    }

    /// Adds an element and connects it to the one before: its name in BPMN, its id, and XML to stand
    /// inside of it.
    #[must_use]
    pub fn element(mut self, tag: &str, id: &str, content: &str) -> Self {
        let index = self.add(tag, id, content);
        if let Some(source) = self.cursor {
            self.connect(source, index);
        }
        self.cursor = Some(index);
        self
    }

    fn add(&mut self, tag: &str, id: &str, content: &str) -> usize {
        self.elements.push(Built {
            scope: *self.scopes.last().expect("the process stays open"),
            tag: tag.to_owned(),
            id: id.to_owned(),
            content: content.to_owned(),
            ..Built::default()
        });
        self.elements.len() - 1
    }

    fn connect(&mut self, source: usize, target: usize) {
        let count = self.flows.len();
        let id = format!(
            "flow_{}_{}_{count}",
            self.elements[source].id, self.elements[target].id
        );
        if std::mem::take(&mut self.default_flow) {
            let _ = write!(
                self.elements[source].attributes,
                " default=\"{}\"",
                escape(&id)
            );
        }
        self.flows.push(BuiltFlow {
            id,
            source,
            target,
            condition: self.condition.take(),
        });
    }

    fn last(&mut self) -> &mut Built {
        let index = self.cursor.unwrap_or(0);
        &mut self.elements[index]
    }

    fn index_of(&self, id: &str) -> usize {
        let found = self.elements.iter().position(|element| element.id == id);
        found.unwrap_or_else(|| panic!("the builder has no element '{id}'"))
    }

    /// Goes on from an element that is there already, in its scope.
    #[must_use]
    pub fn move_to(mut self, id: &str) -> Self {
        self.cursor = Some(self.index_of(id));
        self
    }

    /// Lets the next element begin a path of its own.
    #[must_use]
    pub fn without_source(mut self) -> Self {
        self.cursor = None;
        self
    }

    /// Connects to an element that is there already, and goes on from it.
    #[must_use]
    pub fn connect_to(mut self, id: &str) -> Self {
        let target = self.index_of(id);
        let source = self.cursor.expect("there is an element to connect from");
        self.connect(source, target);
        self.cursor = Some(target);
        self
    }

    /// The condition of the flow that is made next.
    #[must_use]
    pub fn condition(mut self, expression: &str) -> Self {
        self.condition = Some(expression.to_owned());
        self
    }

    /// Makes the flow that is made next the default one.
    #[must_use]
    pub fn default_flow(mut self) -> Self {
        self.default_flow = true;
        self
    }

    /// Begins the scope, with a none start event.
    #[must_use]
    pub fn start(self) -> Self {
        let id = format!("start{}", self.elements.len());
        self.start_at(&id)
    }

    /// Begins the scope, with a none start event of this id.
    #[must_use]
    pub fn start_at(mut self, id: &str) -> Self {
        self.cursor = None;
        self.element("startEvent", id, "")
    }

    /// Begins the process with a message.
    #[must_use]
    pub fn message_start(mut self, id: &str, message: &str) -> Self {
        self.cursor = None;
        let definition = self.message(message, None);
        self.element("startEvent", id, &definition)
    }

    /// Ends the path.
    #[must_use]
    pub fn end(self) -> Self {
        let id = format!("end{}", self.elements.len());
        self.end_at(&id)
    }

    /// Ends the path, with an end event of this id.
    #[must_use]
    pub fn end_at(self, id: &str) -> Self {
        self.element("endEvent", id, "")
    }

    /// A service task; the job type may be an expression.
    #[must_use]
    pub fn service_task(self, id: &str, job_type: &str) -> Self {
        self.service_task_with_retries(id, job_type, "3")
    }

    /// A service task with retries, which may be an expression.
    #[must_use]
    pub fn service_task_with_retries(self, id: &str, job_type: &str, retries: &str) -> Self {
        let definition = format!(
            "<zeebe:taskDefinition type=\"{}\" retries=\"{}\"/>",
            escape(job_type),
            escape(retries)
        );
        self.element("serviceTask", id, "").extension(&definition)
    }

    /// An exclusive gateway.
    #[must_use]
    pub fn exclusive_gateway(self, id: &str) -> Self {
        self.element("exclusiveGateway", id, "")
    }

    /// A parallel gateway.
    #[must_use]
    pub fn parallel_gateway(self, id: &str) -> Self {
        self.element("parallelGateway", id, "")
    }

    /// Waits for a message.
    #[must_use]
    pub fn message_catch(mut self, id: &str, message: &str, correlation_key: &str) -> Self {
        let definition = self.message(message, Some(correlation_key));
        self.element("intermediateCatchEvent", id, &definition)
    }

    /// Waits for a time: an ISO-8601 duration or an expression.
    #[must_use]
    pub fn timer_catch(self, id: &str, duration: &str) -> Self {
        self.element(
            "intermediateCatchEvent",
            id,
            &timer("timeDuration", duration),
        )
    }

    /// Waits for a date: an ISO-8601 date-time or an expression.
    #[must_use]
    pub fn date_catch(self, id: &str, date: &str) -> Self {
        self.element("intermediateCatchEvent", id, &timer("timeDate", date))
    }

    /// Begins the process at a time, which is a `timeDuration`, `timeDate` or `timeCycle`.
    #[must_use]
    pub fn timer_start(mut self, id: &str, kind: &str, time: &str) -> Self {
        self.cursor = None;
        self.element("startEvent", id, &timer(kind, time))
    }

    /// Any element whose work is done by a job worker: its name in BPMN and its id.
    #[must_use]
    pub fn job_element(self, tag: &str, id: &str, job_type: &str) -> Self {
        let definition = format!("<zeebe:taskDefinition type=\"{}\"/>", escape(job_type));
        self.element(tag, id, "").extension(&definition)
    }

    /// A task that waits for a message.
    #[must_use]
    pub fn receive_task(mut self, id: &str, message: &str, correlation_key: &str) -> Self {
        let definition = self.message(message, Some(correlation_key));
        let reference = definition
            .split('"')
            .nth(1)
            .expect("the definition refers to its message")
            .to_owned();
        self.element("receiveTask", id, "")
            .attribute("messageRef", &reference)
    }

    /// Goes on from a boundary event of an activity that catches errors of this code; all errors if
    /// it is empty.
    #[must_use]
    pub fn error_boundary(mut self, id: &str, activity: &str, code: &str) -> Self {
        let definition = if code.is_empty() {
            "<bpmn:errorEventDefinition/>".to_owned()
        } else {
            let error = format!("error{}", self.elements.len());
            let code = escape(code);
            let _ = write!(
                self.definitions,
                "<bpmn:error id=\"{error}\" errorCode=\"{code}\"/>"
            );
            format!("<bpmn:errorEventDefinition errorRef=\"{error}\"/>")
        };
        self.boundary(id, activity, &definition)
    }

    /// Goes on from a boundary event with any definition, given as XML.
    #[must_use]
    pub fn boundary(mut self, id: &str, activity: &str, definition: &str) -> Self {
        self.cursor = None;
        self.element("boundaryEvent", id, definition)
            .attribute("attachedToRef", activity)
    }

    /// Goes on from a boundary event of an activity that waits for a message.
    #[must_use]
    pub fn message_boundary(
        mut self,
        id: &str,
        activity: &str,
        message: &str,
        correlation_key: &str,
    ) -> Self {
        let definition = self.message(message, Some(correlation_key));
        self.boundary(id, activity, &definition)
    }

    /// Goes on from a boundary event of an activity that waits for a time, which is a `timeDuration`, `timeDate` or `timeCycle`.
    #[must_use]
    pub fn timer_boundary(self, id: &str, activity: &str, kind: &str, time: &str) -> Self {
        self.boundary(id, activity, &timer(kind, time))
    }

    /// Lets the boundary event added last leave its activity alone.
    #[must_use]
    pub fn non_interrupting(self) -> Self {
        self.attribute("cancelActivity", "false")
    }

    /// Lets a task undo an activity of the scope that is open: adds the boundary event, the task and what associates them, and stands
    /// on the task.
    #[must_use]
    pub fn compensated_by(mut self, activity: &str, handler: &str, job_type: &str) -> Self {
        let event = format!("undo-{activity}");
        self = self.boundary(&event, activity, "<bpmn:compensateEventDefinition/>");
        let scope = *self.scopes.last().expect("the process stays open");
        let (source, target) = (escape(&event), escape(handler));
        let _ = write!(
            self.elements[scope].content,
            "<bpmn:association id=\"{source}_{target}\" associationDirection=\"One\" \
             sourceRef=\"{source}\" targetRef=\"{target}\"/>"
        );
        self.without_source()
            .service_task(handler, job_type)
            .attribute("isForCompensation", "true")
    }

    /// Enters a sub-process; [`ProcessBuilder::leave`] ends it.
    #[must_use]
    pub fn sub_process(mut self, id: &str) -> Self {
        self = self.element("subProcess", id, "");
        self.scopes.push(self.elements.len() - 1);
        self.cursor = None;
        self
    }

    /// Enters an event sub-process of the scope that is open, and stands on its start event, which has this definition, given as
    /// XML; [`ProcessBuilder::leave`] ends it.
    #[must_use]
    pub fn event_sub_process(
        mut self,
        id: &str,
        start: &str,
        definition: &str,
        interrupting: bool,
    ) -> Self {
        self.cursor = None;
        self = self
            .sub_process(id)
            .move_to(id)
            .attribute("triggeredByEvent", "true");
        self.cursor = None;
        self.element("startEvent", start, definition)
            .attribute("isInterrupting", &interrupting.to_string())
    }

    /// Enters a sub-process that is there already.
    #[must_use]
    pub fn reenter(mut self, id: &str) -> Self {
        self.scopes.push(self.index_of(id));
        self.cursor = None;
        self
    }

    /// Leaves a sub-process, and goes on from it.
    #[must_use]
    pub fn leave(mut self) -> Self {
        assert!(self.scopes.len() > 1, "there is no sub-process to leave");
        self.cursor = self.scopes.pop();
        self
    }

    /// An attribute of the element added last, or of the process.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.last().attributes, " {name}=\"{}\"", escape(value));
        self
    }

    /// An extension element of the element added last, or of the process, given as XML.
    #[must_use]
    pub fn extension(mut self, xml: &str) -> Self {
        self.last().extensions.push_str(xml);
        self
    }

    /// XML inside of the element added last, behind its extensions: event definitions, loop characteristics.
    #[must_use]
    pub fn content(mut self, xml: &str) -> Self {
        self.last().content.push_str(xml);
        self
    }

    /// Repeats the activity added last for each item of a list, all at once or one after the other. `attributes` are those of
    /// `zeebe:loopCharacteristics`.
    #[must_use]
    pub fn multi_instance(self, sequential: bool, attributes: &str) -> Self {
        self.multi_instance_until(sequential, attributes, "")
    }

    /// The same, with a condition that ends it early.
    #[must_use]
    pub fn multi_instance_until(self, sequential: bool, attributes: &str, condition: &str) -> Self {
        let condition = match condition {
            "" => String::new(),
            _ => format!(
                "<bpmn:completionCondition>{}</bpmn:completionCondition>",
                escape(condition)
            ),
        };
        self.content(&format!(
            "<bpmn:multiInstanceLoopCharacteristics isSequential=\"{sequential}\"><bpmn:extensionElements>\
             <zeebe:loopCharacteristics {attributes}/></bpmn:extensionElements>{condition}\
             </bpmn:multiInstanceLoopCharacteristics>"
        ))
    }

    /// An input mapping of the element added last.
    #[must_use]
    pub fn input(self, source: &str, target: &str) -> Self {
        self.mapping("input", source, target)
    }

    /// An output mapping of the element added last.
    #[must_use]
    pub fn output(self, source: &str, target: &str) -> Self {
        self.mapping("output", source, target)
    }

    fn mapping(mut self, kind: &str, source: &str, target: &str) -> Self {
        let (source, target) = (escape(source), escape(target));
        let mappings = &mut self.last().mappings;
        let _ = write!(
            mappings,
            "<zeebe:{kind} source=\"{source}\" target=\"{target}\"/>"
        );
        self
    }

    /// A header of the element added last.
    #[must_use]
    pub fn header(mut self, key: &str, value: &str) -> Self {
        let (key, value) = (escape(key), escape(value));
        let headers = &mut self.last().headers;
        let _ = write!(headers, "<zeebe:header key=\"{key}\" value=\"{value}\"/>");
        self
    }

    /// XML that stands beside the process: messages, errors, signals.
    #[must_use]
    pub fn definitions(mut self, xml: &str) -> Self {
        self.definitions.push_str(xml);
        self
    }

    fn message(&mut self, name: &str, correlation_key: Option<&str>) -> String {
        let id = format!("message{}", self.elements.len());
        let subscription = correlation_key.map_or(String::new(), |key| {
            let key = escape(key);
            format!(
                "<bpmn:extensionElements><zeebe:subscription correlationKey=\"{key}\"/></bpmn:extensionElements>"
            )
        });
        let name = escape(name);
        let _ = write!(
            self.definitions,
            "<bpmn:message id=\"{id}\" name=\"{name}\">{subscription}</bpmn:message>"
        );
        format!("<bpmn:messageEventDefinition messageRef=\"{id}\"/>")
    }

    /// The XML of the resource.
    #[must_use]
    pub fn xml(&self) -> String {
        let mut process = String::new();
        self.write(0, &mut process);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <bpmn:definitions xmlns:bpmn=\"{}\" xmlns:zeebe=\"{}\" id=\"definitions\" \
             targetNamespace=\"http://skep.example\">{}{process}</bpmn:definitions>",
            crate::document::BPMN,
            crate::document::ZEEBE,
            self.definitions
        )
    }

    /// Recursion is as deep as the test that builds the process nests it.
    fn write(&self, index: usize, out: &mut String) {
        let element = &self.elements[index];
        let (tag, id) = (&element.tag, escape(&element.id));
        let _ = write!(out, "<bpmn:{tag} id=\"{id}\"{}>", element.attributes);
        let mut extensions = element.extensions.clone();
        for (name, parts) in [
            ("ioMapping", &element.mappings),
            ("taskHeaders", &element.headers),
        ] {
            if !parts.is_empty() {
                let _ = write!(extensions, "<zeebe:{name}>{parts}</zeebe:{name}>");
            }
        }
        if !extensions.is_empty() {
            let _ = write!(
                out,
                "<bpmn:extensionElements>{extensions}</bpmn:extensionElements>"
            );
        }
        out.push_str(&element.content);
        for child in (1..self.elements.len()).filter(|&child| self.elements[child].scope == index) {
            self.write(child, out);
        }
        for flow in self
            .flows
            .iter()
            .filter(|flow| self.elements[flow.source].scope == index)
        {
            self.write_flow(flow, out);
        }
        let _ = write!(out, "</bpmn:{tag}>");
    }

    fn write_flow(&self, flow: &BuiltFlow, out: &mut String) {
        let id = escape(&flow.id);
        let source = escape(&self.elements[flow.source].id);
        let target = escape(&self.elements[flow.target].id);
        let condition = flow
            .condition
            .as_deref()
            .map_or(String::new(), |condition| {
                format!(
                    "<bpmn:conditionExpression>{}</bpmn:conditionExpression>",
                    escape(condition)
                )
            });
        let _ = write!(
            out,
            "<bpmn:sequenceFlow id=\"{id}\" sourceRef=\"{source}\" targetRef=\"{target}\">{condition}</bpmn:sequenceFlow>"
        );
    }
}

fn timer(kind: &str, time: &str) -> String {
    let time = escape(time);
    format!(
        "<bpmn:timerEventDefinition><bpmn:{kind}>{time}</bpmn:{kind}></bpmn:timerEventDefinition>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
