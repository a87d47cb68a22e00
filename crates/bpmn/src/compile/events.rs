//! Events.

use std::sync::Arc;

use skep_feel::Expression;

use super::{Compiler, element_index};
use crate::document::{
    FlowNode, Node, child, content, event_definitions, event_type, extension, flag, non_empty,
};
use crate::model::{
    BoundaryEvent, CatchEvent, Compensation, ElementType, EndEvent, ErrorThrow, EscalationThrow,
    EventType, Message, StartEvent, Text, ThrowEvent, Timer, TimerSource, Trigger,
};
use crate::timer::{Cycle, Date, Duration, TimerError};
use crate::validate::is_expression;

impl<'a> Compiler<'_, 'a> {
    pub(super) fn start_event(&mut self, event: &FlowNode<'a>) -> Option<StartEvent> {
        let trigger = self.trigger(event)?;
        if event.scope == Some(0) {
            self.require_constant_trigger(event.node, &trigger);
        }
        // An error has ended what threw it, so that nothing is left to run beside it.
        let always = matches!(trigger, Trigger::Error(_));
        let interrupting = always || flag(event.node, "isInterrupting", true);
        Some(StartEvent {
            trigger,
            interrupting,
        })
    }

    pub(super) fn catch_event(&mut self, event: &FlowNode<'a>) -> Option<CatchEvent> {
        let behind_event_based_gateway = event.incoming.iter().any(|&flow| {
            let source = self.draft.flows[flow].source;
            self.draft.nodes[source].kind == Some(ElementType::EventBasedGateway)
        });
        Some(CatchEvent {
            trigger: self.trigger(event)?,
            behind_event_based_gateway,
        })
    }

    pub(super) fn boundary_event(&mut self, event: &FlowNode<'a>) -> Option<BoundaryEvent> {
        let trigger = self.trigger(event)?;
        let always = matches!(trigger, Trigger::Error(_));
        Some(BoundaryEvent {
            attached_to: element_index(event.attached_to?),
            interrupting: always || flag(event.node, "cancelActivity", true),
            trigger,
        })
    }

    pub(super) fn throw_event(&mut self, event: &FlowNode<'a>) -> Option<ThrowEvent> {
        let Some(definition) = event_definitions(event.node).next() else {
            return Some(ThrowEvent::None);
        };
        Some(match event_type(definition)? {
            EventType::Message => ThrowEvent::Message(self.job(event)?),
            EventType::Signal => ThrowEvent::Signal(self.signal_name(definition)?),
            EventType::Escalation => ThrowEvent::Escalation(self.escalation(definition)?),
            EventType::Compensation => ThrowEvent::Compensation(self.compensation(definition)),
            EventType::Link => {
                let name = non_empty(definition, "name")?;
                ThrowEvent::Link(*self.link_catches.get(&(event.scope, name))?)
            }
            _ => return None,
        })
    }

    pub(super) fn end_event(&mut self, event: &FlowNode<'a>) -> Option<EndEvent> {
        let Some(definition) = event_definitions(event.node).next() else {
            return Some(EndEvent::None);
        };
        Some(match event_type(definition)? {
            EventType::Message => EndEvent::Message(self.job(event)?),
            EventType::Signal => EndEvent::Signal(self.signal_name(definition)?),
            EventType::Error => {
                let error = self.document.referred(definition, "errorRef", "error")?;
                EndEvent::Error(ErrorThrow {
                    code: self.shared_text(error, "errorCode")?,
                })
            }
            EventType::Escalation => EndEvent::Escalation(self.escalation(definition)?),
            EventType::Terminate => EndEvent::Terminate,
            EventType::Compensation => EndEvent::Compensation(self.compensation(definition)),
            _ => return None,
        })
    }

    fn trigger(&mut self, event: &FlowNode<'a>) -> Option<Trigger> {
        let Some(definition) = event_definitions(event.node).next() else {
            return Some(Trigger::None);
        };
        Some(match event_type(definition)? {
            EventType::Message => Trigger::Message(self.message(definition)?),
            EventType::Timer => Trigger::Timer(self.timer(definition)?),
            EventType::Signal => Trigger::Signal(self.signal_name(definition)?),
            EventType::Error => Trigger::Error(self.caught_code(definition, "error", "errorCode")),
            EventType::Escalation => {
                Trigger::Escalation(self.caught_code(definition, "escalation", "escalationCode"))
            }
            EventType::Link => Trigger::Link(non_empty(definition, "name")?.into()),
            EventType::Compensation => {
                Trigger::Compensation(element_index(*event.associated.first()?))
            }
            EventType::None | EventType::Terminate => return None,
        })
    }

    /// The message that an event definition or a receive task refers to.
    pub(super) fn message(&mut self, node: Node<'a>) -> Option<Message> {
        let message = self.document.referred(node, "messageRef", "message")?;
        let name = self.shared_text(message, "name");
        let subscription = extension(message, "subscription")
            .filter(|subscription| non_empty(*subscription, "correlationKey").is_some());
        let correlation_key = match subscription {
            Some(subscription) => match self.shared_text(subscription, "correlationKey")? {
                Text::Expression(key) => Some(key),
                // Only a message that starts a process may have one, and it does not use it.
                Text::Static(_) => None,
            },
            None => None,
        };
        Some(Message {
            name: name?,
            correlation_key,
        })
    }

    fn signal_name(&mut self, definition: Node<'a>) -> Option<Text> {
        let signal = self.document.referred(definition, "signalRef", "signal")?;
        self.shared_text(signal, "name")
    }

    fn escalation(&mut self, definition: Node<'a>) -> Option<EscalationThrow> {
        let escalation = self
            .document
            .referred(definition, "escalationRef", "escalation")?;
        Some(EscalationThrow {
            code: self.shared_text(escalation, "escalationCode")?,
        })
    }

    /// `None` catches every code.
    fn caught_code(
        &mut self,
        definition: Node<'a>,
        name: &str,
        code: &'static str,
    ) -> Option<Arc<str>> {
        let found = self
            .document
            .referred(definition, &format!("{name}Ref"), name)?;
        self.shared_text(found, code)?.as_static().cloned()
    }

    fn compensation(&self, definition: Node<'a>) -> Compensation {
        let activity = non_empty(definition, "activityRef").and_then(|id| self.draft.resolve(id));
        Compensation {
            activity: activity.map(element_index),
        }
    }

    fn timer(&mut self, definition: Node<'a>) -> Option<Timer> {
        if let Some(time) = child(definition, "timeDuration") {
            return self
                .time(time, "duration", Duration::parse)
                .map(Timer::Duration);
        }
        if let Some(time) = child(definition, "timeDate") {
            return self.time(time, "date", Date::parse).map(Timer::Date);
        }
        let time = child(definition, "timeCycle")?;
        self.time(time, "cycle", Cycle::parse).map(Timer::Cycle)
    }

    fn time<T>(
        &mut self,
        time: Node<'a>,
        kind: &str,
        parse: impl Fn(&str) -> Result<T, TimerError>,
    ) -> Option<TimerSource<T>> {
        let text = content(time);
        if is_expression(&text) {
            let name = time.tag_name().name();
            return self
                .expression_of_content(time, name)
                .map(TimerSource::Expression);
        }
        match parse(&text) {
            Ok(parsed) => Some(TimerSource::Static(parsed)),
            Err(error) => {
                self.problems
                    .add(time, format!("Invalid timer {kind} expression ({error})"));
                None
            }
        }
    }

    fn require_constant_trigger(&mut self, event: Node<'a>, trigger: &Trigger) {
        let expression: Option<&Expression> = match trigger {
            Trigger::Message(Message {
                name: Text::Expression(name),
                ..
            })
            | Trigger::Signal(Text::Expression(name)) => Some(name),
            Trigger::Timer(
                Timer::Duration(TimerSource::Expression(time))
                | Timer::Date(TimerSource::Expression(time))
                | Timer::Cycle(TimerSource::Expression(time)),
            ) => Some(time),
            _ => None,
        };
        if let Some(expression) = expression {
            self.require_constant(event, expression);
        }
    }
}
