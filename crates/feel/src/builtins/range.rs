//! Relations between points and ranges (Allen's, as DMN 1.3 defines them).

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Answer, Args, Builtin, Refusal, Signature, fixed, function};
use crate::ast::{Node, NodeId, Program};
use crate::eval::{Evaluator, order, range_contains};
use crate::expression::NoVariables;
use crate::parser::parse_expression;
use crate::range::{End, Range};
use crate::value::Value;

/// Both arguments may be points or ranges; the names say which the signature means.
const fn any(run: super::Run) -> [Signature; 4] {
    [
        fixed(&["point1", "point2"], run),
        fixed(&["point", "range"], run),
        fixed(&["range", "point"], run),
        fixed(&["range1", "range2"], run),
    ]
}

pub(super) const FUNCTIONS: &[Builtin] = &[
    function("before", &any(before)),
    function("after", &any(after)),
    function("meets", &any(meets)),
    function("met by", &any(met_by)),
    function("overlaps", &any(overlaps)),
    function("overlaps before", &any(overlaps_before)),
    function("overlaps after", &any(overlaps_after)),
    function("finishes", &any(finishes)),
    function("finished by", &any(finished_by)),
    function("includes", &any(includes)),
    function("during", &any(during)),
    function("starts", &any(starts)),
    function("started by", &any(started_by)),
    function("coincides", &any(coincides)),
    function("range", &[fixed(&["from"], range)]),
];

/// `range(from)`: a text that is a range with both ends given literally.
fn range(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    evaluator.charge(text.len() as u64)?;
    let refuse = || Refusal::Null("the text is no range whose ends are literals".to_owned());
    let program = parse_expression(text, &[]).map_err(|_| refuse())?;
    if !is_literal_range(&program) {
        return Err(refuse());
    }
    let evaluated = Evaluator::new(&Arc::new(program), &NoVariables, evaluator.env).run();
    evaluated
        .map(|evaluation| evaluation.value)
        .map_err(|_| refuse())
}

fn is_literal_range(program: &Program) -> bool {
    let Node::Range { start, end, .. } = program.node(program.root) else {
        return false;
    };
    let is_literal = |node: &NodeId| match program.node(*node) {
        Node::Literal(value) => !value.is_null(),
        Node::Builtin {
            signature,
            arguments,
        } => {
            let of_text = matches!(
                arguments[..],
                [Some(argument)] if matches!(program.node(argument), Node::Literal(Value::String(_)))
            );
            // A conversion, as `date(from)`.
            of_text && signature.parameters == ["from"]
        }
        _ => false,
    };
    start.as_ref().is_some_and(is_literal) && end.as_ref().is_some_and(is_literal)
}

/// An argument as a range; a point is the range that holds only it.
struct Span {
    start: End,
    end: End,
    point: bool,
}

impl Span {
    fn of(value: &Value) -> Answer<Span> {
        match value {
            Value::Null => Err(Refusal::Null("a range or point is missing".to_owned())),
            Value::Range(range) => Ok(Span {
                start: range.start.clone(),
                end: range.end.clone(),
                point: false,
            }),
            point => {
                let end = End {
                    value: point.clone(),
                    included: true,
                };
                Ok(Span {
                    start: end.clone(),
                    end,
                    point: true,
                })
            }
        }
    }

    fn range(&self) -> Range {
        Range {
            start: self.start.clone(),
            end: self.end.clone(),
        }
    }
}

fn compare(a: &Value, b: &Value) -> Answer<Ordering> {
    order(a, b).ok_or_else(|| {
        let (a, b) = (a.type_name(), b.type_name());
        Refusal::Null(format!("can't compare a {a} with a {b}"))
    })
}

/// Compares two starts; an open one lies infinitely early, and of equal ones the included lies earlier.
fn compare_starts(a: &End, b: &End) -> Answer<Ordering> {
    match (a.value.is_null(), b.value.is_null()) {
        (true, true) => Ok(Ordering::Equal),
        (true, false) => Ok(Ordering::Less),
        (false, true) => Ok(Ordering::Greater),
        (false, false) => {
            Ok(compare(&a.value, &b.value)?.then_with(|| b.included.cmp(&a.included)))
        }
    }
}

fn compare_ends(a: &End, b: &End) -> Answer<Ordering> {
    match (a.value.is_null(), b.value.is_null()) {
        (true, true) => Ok(Ordering::Equal),
        (true, false) => Ok(Ordering::Greater),
        (false, true) => Ok(Ordering::Less),
        (false, false) => {
            Ok(compare(&a.value, &b.value)?.then_with(|| a.included.cmp(&b.included)))
        }
    }
}

/// Whether everything up to `end` lies before everything from `start` on.
fn ends_before(end: &End, start: &End) -> Answer<bool> {
    if end.value.is_null() || start.value.is_null() {
        return Ok(false);
    }
    Ok(match compare(&end.value, &start.value)? {
        Ordering::Less => true,
        Ordering::Equal => !(end.included && start.included),
        Ordering::Greater => false,
    })
}

fn spans(args: &Args<'_>) -> Answer<(Span, Span)> {
    Ok((Span::of(args.value(0))?, Span::of(args.value(1))?))
}

/// Both arguments must be ranges.
fn ranges(args: &Args<'_>) -> Answer<(Span, Span)> {
    let (a, b) = spans(args)?;
    if a.point || b.point {
        return Err(Refusal::Null("expected two ranges".to_owned()));
    }
    Ok((a, b))
}

/// The second argument must be a range.
fn into_range(args: &Args<'_>) -> Answer<(Span, Span)> {
    let (a, b) = spans(args)?;
    if b.point {
        return Err(Refusal::Null("expected a range".to_owned()));
    }
    Ok((a, b))
}

fn swapped((a, b): (Span, Span)) -> (Span, Span) {
    (b, a)
}

/// The first argument must be a range; answers them the other way round.
fn from_range(args: &Args<'_>) -> Answer<(Span, Span)> {
    let (a, b) = spans(args)?;
    if a.point {
        return Err(Refusal::Null("expected a range".to_owned()));
    }
    Ok((b, a))
}

fn before(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = spans(&args)?;
    if a.point && b.point {
        return Ok(Value::Boolean(
            compare(&a.end.value, &b.start.value)? == Ordering::Less,
        ));
    }
    Ok(Value::Boolean(ends_before(&a.end, &b.start)?))
}

fn after(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = swapped(spans(&args)?);
    if a.point && b.point {
        return Ok(Value::Boolean(
            compare(&a.end.value, &b.start.value)? == Ordering::Less,
        ));
    }
    Ok(Value::Boolean(ends_before(&a.end, &b.start)?))
}

fn touches(a: &Span, b: &Span) -> Answer {
    if a.end.value.is_null() || b.start.value.is_null() {
        return Ok(Value::Boolean(false));
    }
    let same = compare(&a.end.value, &b.start.value)? == Ordering::Equal;
    Ok(Value::Boolean(same && a.end.included && b.start.included))
}

fn meets(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = ranges(&args)?;
    touches(&a, &b)
}

fn met_by(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = ranges(&args)?;
    touches(&b, &a)
}

fn do_overlap(a: &Span, b: &Span) -> Answer<bool> {
    Ok(!ends_before(&a.end, &b.start)? && !ends_before(&b.end, &a.start)?)
}

fn overlaps(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = ranges(&args)?;
    Ok(Value::Boolean(do_overlap(&a, &b)?))
}

fn earlier_overlap(a: &Span, b: &Span) -> Answer {
    let overlap = do_overlap(a, b)?;
    let starts_first = compare_starts(&a.start, &b.start)? == Ordering::Less;
    let ends_first = compare_ends(&a.end, &b.end)? != Ordering::Greater;
    Ok(Value::Boolean(overlap && starts_first && ends_first))
}

fn overlaps_before(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = ranges(&args)?;
    earlier_overlap(&a, &b)
}

fn overlaps_after(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = ranges(&args)?;
    let overlap = do_overlap(&a, &b)?;
    let starts_last = compare_starts(&a.start, &b.start)? == Ordering::Greater;
    let ends_last = compare_ends(&a.end, &b.end)? != Ordering::Less;
    Ok(Value::Boolean(overlap && starts_last && ends_last))
}

fn does_finish(a: &Span, b: &Span) -> Answer {
    if a.point {
        let at_end = !b.end.value.is_null()
            && compare(&a.end.value, &b.end.value)? == Ordering::Equal
            && b.end.included;
        return Ok(Value::Boolean(at_end));
    }
    let same_end = compare_ends(&a.end, &b.end)? == Ordering::Equal;
    Ok(Value::Boolean(
        same_end && compare_starts(&a.start, &b.start)? != Ordering::Less,
    ))
}

fn finishes(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = into_range(&args)?;
    does_finish(&a, &b)
}

fn finished_by(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = from_range(&args)?;
    does_finish(&a, &b)
}

fn lies_within(a: &Span, b: &Span) -> Answer {
    if a.point {
        let contained = range_contains(&b.range(), &a.start.value);
        return contained
            .map(Value::Boolean)
            .ok_or_else(|| Refusal::Null("the point can't be compared with the range".to_owned()));
    }
    let starts = compare_starts(&a.start, &b.start)? != Ordering::Less;
    let ends = compare_ends(&a.end, &b.end)? != Ordering::Greater;
    Ok(Value::Boolean(starts && ends))
}

fn includes(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (inner, outer) = from_range(&args)?;
    lies_within(&inner, &outer)
}

fn during(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (inner, outer) = into_range(&args)?;
    lies_within(&inner, &outer)
}

fn does_start(a: &Span, b: &Span) -> Answer {
    if a.point {
        let at_start = !b.start.value.is_null()
            && compare(&a.start.value, &b.start.value)? == Ordering::Equal
            && b.start.included;
        return Ok(Value::Boolean(at_start));
    }
    let same_start = compare_starts(&a.start, &b.start)? == Ordering::Equal;
    Ok(Value::Boolean(
        same_start && compare_ends(&a.end, &b.end)? != Ordering::Greater,
    ))
}

fn starts(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = into_range(&args)?;
    does_start(&a, &b)
}

fn started_by(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = from_range(&args)?;
    does_start(&a, &b)
}

fn coincides(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = spans(&args)?;
    if a.point != b.point {
        return Err(Refusal::Null(
            "expected two points or two ranges".to_owned(),
        ));
    }
    let starts = compare_starts(&a.start, &b.start)? == Ordering::Equal;
    Ok(Value::Boolean(
        starts && compare_ends(&a.end, &b.end)? == Ordering::Equal,
    ))
}
