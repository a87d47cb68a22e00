//! Texts and due dates.

use super::*;

/// 2024-03-30T12:00:00Z, the day before the end of March in a leap year.
fn noon() -> i64 {
    Date::parse("2024-03-30T12:00:00Z").unwrap().due_ms()
}

fn at(text: &str) -> i64 {
    Date::parse(text).unwrap().due_ms()
}

#[test]
fn durations_are_counted_from_where_they_begin() {
    for (text, due) in [
        ("PT0S", "2024-03-30T12:00:00Z"),
        ("PT15M", "2024-03-30T12:15:00Z"),
        ("PT1.5S", "2024-03-30T12:00:01.500Z"),
        ("PT0,25S", "2024-03-30T12:00:00.250Z"),
        ("P1D", "2024-03-31T12:00:00Z"),
        ("P2W", "2024-04-13T12:00:00Z"),
        ("P1M", "2024-04-30T12:00:00Z"),
        ("P11M", "2025-02-28T12:00:00Z"),
        ("P1Y2M3DT4H5M6S", "2025-06-02T16:05:06Z"),
        ("-PT1H", "2024-03-30T11:00:00Z"),
        ("PT-1H", "2024-03-30T11:00:00Z"),
        ("-P1DT-1H", "2024-03-29T13:00:00Z"),
        ("PT-0.5S", "2024-03-30T11:59:59.500Z"),
        ("PT36H", "2024-04-01T00:00:00Z"),
    ] {
        assert_eq!(
            Duration::parse(text).unwrap().due_after(noon()),
            at(due),
            "{text}"
        );
    }
}

#[test]
fn durations_beyond_the_calendar_are_due_at_its_end() {
    let end_ms = jiff::Timestamp::MAX.as_millisecond();
    assert_eq!(
        Duration::parse("P10000Y").unwrap().due_after(noon()),
        end_ms
    );
    assert_eq!(Duration::parse("P1D").unwrap().due_after(i64::MAX), end_ms);
    assert_eq!(
        Duration::parse("PT1H").unwrap().due_after(i64::MAX),
        i64::MAX
    );
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in [
        "",
        "P",
        "PT",
        "P1",
        "1D",
        "PT5",
        "P1H",
        "PT1D",
        "P1DT",
        "PT1H1H",
        "PT1M1H",
        "P1.5D",
        "PTS",
        "PT1.S",
        "PT.5S",
        "PT1.1234567890S",
        "P99999999Y",
        "PT99999999999999999999S",
        "P1DTT1H",
        "PT1Hä",
        "five minutes",
        "P١D",
    ] {
        assert!(Duration::parse(text).is_err(), "{text}");
    }
    let error = Duration::parse("5m").unwrap_err().to_string();
    let expected = "'5m' is no duration, such as PT15M or P1DT12H: it does not begin with P";
    assert_eq!(error, expected);
}

#[test]
fn dates_need_a_zone_or_an_offset() {
    for text in [
        "2024-03-30T12:00:00Z",
        "2024-03-30T12:00Z",
        "2024-03-30T14:00:00+02:00",
        "2024-03-30T13:00:00+01:00[Europe/Berlin]",
        "2024-03-30T13:00:00[Europe/Berlin]",
        "2024-03-30T13:00:00@Europe/Berlin",
        " 2024-03-30T12:00:00.000Z ",
    ] {
        assert_eq!(Date::parse(text).map(Date::due_ms), Ok(noon()), "{text}");
    }
    for text in [
        "",
        "2024-03-30",
        "2024-03-30T12:00:00",
        "2024-02-30T12:00:00Z",
        "tomorrow",
        "@",
    ] {
        assert!(Date::parse(text).is_err(), "{text}");
    }
}

#[test]
fn intervals_repeat_without_drift() {
    let cycle = Cycle::parse("R3/PT10S").unwrap();
    assert_eq!(cycle.repetitions(), 3);
    let first = cycle.first_due(noon()).unwrap();
    assert_eq!(first, noon() + 10_000);
    // The second comes ten seconds after the first was due, however late that was triggered.
    assert_eq!(cycle.next_due(first, first + 7_000), Some(first + 10_000));
    assert_eq!(
        Cycle::parse("R/PT10S").unwrap().repetitions(),
        Cycle::INFINITE
    );
    assert_eq!(
        Cycle::parse("R-1/PT10S").unwrap().repetitions(),
        Cycle::INFINITE
    );
    assert_eq!(Cycle::parse("R0/PT10S").unwrap().first_due(noon()), None);
}

#[test]
fn a_start_in_the_future_comes_first_and_one_in_the_past_at_once() {
    let cycle = Cycle::parse("R2/2024-04-01T00:00:00Z/P1M").unwrap();
    let first = cycle.first_due(noon()).unwrap();
    assert_eq!(first, at("2024-04-01T00:00:00Z"));
    assert_eq!(
        cycle.next_due(first, first),
        Some(at("2024-05-01T00:00:00Z"))
    );
    let past = Cycle::parse("R2/2020-04-01T00:00:00Z/P1M").unwrap();
    assert_eq!(past.first_due(noon()), Some(noon()));
}

#[test]
fn what_is_no_cycle_is_refused() {
    for text in [
        "",
        "R",
        "R3",
        "R/",
        "R3/",
        "Rx/PT1S",
        "R-2/PT1S",
        "R99999999999/PT1S",
        "R/PT0S",
        "R/-PT1S",
        "R3/yesterday/PT1S",
        "R3/2024-04-01T00:00:00Z/",
        "PT1S",
        "* * * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * * 13 *",
        "* * * * * 8",
        "*/0 * * * * *",
        "5-1 * * * * *",
        "a * * * * *",
        "* * * * * L",
        "* * * * * 1#6",
        "* * * 32W * *",
        "* * * L-31 * *",
        "@sometimes",
        "0 0 0 -1 * *",
        "1,,2 * * * * *",
    ] {
        assert!(Cycle::parse(text).is_err(), "{text}");
    }
}

#[test]
fn cron_fields_are_all_kept() {
    // The 30th of March 2024 is a Saturday.
    for (text, due) in [
        ("* * * * * *", "2024-03-30T12:00:01Z"),
        ("0 0 9-17 * * MON-FRI", "2024-04-01T09:00:00Z"),
        ("0 */20 * * * *", "2024-03-30T12:20:00Z"),
        ("0 5/20 * * * *", "2024-03-30T12:05:00Z"),
        ("15,45 * * * * *", "2024-03-30T12:00:15Z"),
        ("0 0 0 25 12 ?", "2024-12-25T00:00:00Z"),
        ("0 0 0 L * *", "2024-03-31T00:00:00Z"),
        ("0 0 0 L-3 * *", "2024-04-27T00:00:00Z"),
        ("0 0 0 1W * *", "2024-04-01T00:00:00Z"),
        ("0 0 0 1W 6 *", "2024-06-03T00:00:00Z"),
        ("0 0 0 LW * *", "2024-04-30T00:00:00Z"),
        ("0 0 0 LW 6 *", "2024-06-28T00:00:00Z"),
        ("0 0 0 * * 5L", "2024-04-26T00:00:00Z"),
        ("0 0 0 * * THUL", "2024-04-25T00:00:00Z"),
        ("0 0 0 ? * 5#2", "2024-04-12T00:00:00Z"),
        ("0 0 0 ? * MON#1", "2024-04-01T00:00:00Z"),
        ("0 0 0 13 * FRI", "2024-09-13T00:00:00Z"),
        ("0 0 0 * * 0", "2024-03-31T00:00:00Z"),
        ("0 0 0 * * 7", "2024-03-31T00:00:00Z"),
        ("0 0 0 * * sun-mon", "2024-03-31T00:00:00Z"),
        ("0 0 0 29 FEB *", "2028-02-29T00:00:00Z"),
        ("0 0 0 29 2 MON", "2044-02-29T00:00:00Z"),
        ("0 0 0 1,L * *", "2024-03-31T00:00:00Z"),
        ("@hourly", "2024-03-30T13:00:00Z"),
        ("@daily", "2024-03-31T00:00:00Z"),
        ("@midnight", "2024-03-31T00:00:00Z"),
        ("@weekly", "2024-03-31T00:00:00Z"),
        ("@monthly", "2024-04-01T00:00:00Z"),
        ("@yearly", "2025-01-01T00:00:00Z"),
        ("@annually", "2025-01-01T00:00:00Z"),
    ] {
        let cycle = Cycle::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(cycle.first_due(noon()), Some(at(due)), "{text}");
        assert_eq!(cycle.repetitions(), Cycle::INFINITE);
    }
}

#[test]
fn cron_goes_on_after_now_and_ends_where_no_day_fits() {
    let cycle = Cycle::parse("0 0 * * * *").unwrap();
    let late = noon() + 3 * 3_600_000 + 1;
    assert_eq!(cycle.next_due(noon(), late), Some(noon() + 4 * 3_600_000));
    // A clock that went back must not trigger the same second twice.
    assert_eq!(cycle.next_due(noon(), noon() - 1), Some(noon() + 3_600_000));
    assert_eq!(
        Cycle::parse("0 0 0 31 2 *").unwrap().first_due(noon()),
        None
    );
    assert_eq!(cycle.first_due(i64::MAX), None);
}
