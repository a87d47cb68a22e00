//! An exporter at work: order, fence, crashes, gaps, release of the log.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use skep_exporter::thread::ExporterThread;
use skep_exporter::{Feed, Filter, Phase};
use skep_protocol::{Index, Position, ValueType};
use support::{Log, NOTHING, Place, export_all};

#[test]
fn every_record_is_exported_in_order_and_fenced_batches_are_not() {
    let (place, log) = (Place::new(), Log::default());
    log.push(bytes::Bytes::new());
    log.epoch();
    log.batch(3);
    log.batch(1);
    log.epoch();
    log.fenced_batch(2);
    log.batch(2);
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(place.positions(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(worker.status().acknowledged(), Position(6));
    assert_eq!(log.released(), log.end());
}

#[test]
fn after_a_crash_the_file_holds_every_record_once_whatever_was_written_after_the_flush() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(5);
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    let flushed = fs::read(&place.files()[0]).unwrap();
    drop(worker);
    log.batch(4);
    // What a crash may leave behind what was flushed: nothing, whole lines, a torn one, zeros.
    for left in [
        "",
        "{\"position\":6}\n",
        "{\"position\":6}\n{\"posi",
        "\0\0\0",
    ] {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&place.files()[0])
            .unwrap();
        file.write_all(left.as_bytes()).unwrap();
        let mut worker = place.worker(&log, NOTHING);
        worker.open().unwrap();
        assert_eq!(fs::read(&place.files()[0]).unwrap(), flushed, "{left:?}");
        export_all(&mut worker, &log);
    }
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(place.positions(), (1..=9).collect::<Vec<_>>());
}

#[test]
fn the_log_is_released_only_up_to_what_is_durable() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(2);
    let mut worker = place.worker(&log, NOTHING);
    assert_eq!(log.released(), Index(0));
    worker.open().unwrap();
    export_all(&mut worker, &log);
    assert_eq!(log.released(), Index(0), "exported is not durable");
    worker.flush(Phase::SoftPaused).unwrap();
    assert_eq!(log.released(), Index(0), "soft pause keeps the position");
    assert!(worker.flush_in(Phase::SoftPaused).is_none());
    assert!(worker.flush_in(Phase::Exporting).is_some());
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(log.released(), Index(2));
    assert!(worker.flush_in(Phase::Exporting).is_none());
}

#[test]
fn files_are_rotated_by_size_and_the_oldest_go() {
    let (mut place, log) = (Place::new(), Log::default());
    (place.file_bytes_max, place.files_max) = (20_000, Some(2));
    log.epoch();
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    for _ in 0..20 {
        log.batch(10);
        export_all(&mut worker, &log);
        worker.flush(Phase::Exporting).unwrap();
    }
    assert_eq!(place.files().len(), 2);
    let positions = place.positions();
    let first = positions[0];
    assert!(first > 1, "the oldest file is gone");
    assert_eq!(positions, (first..=200).collect::<Vec<_>>());
    for file in place.files() {
        assert!(
            fs::metadata(file).unwrap().len() < 27_000,
            "a batch more at most"
        );
    }
    // Several files after the one of the mark go when the exporter goes back.
    drop(worker);
    place.files_max = None;
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    for _ in 0..20 {
        log.batch(10);
        export_all(&mut worker, &log);
        worker.flush(Phase::SoftPaused).unwrap();
    }
    assert!(place.files().len() > 4);
    worker.open().unwrap();
    assert_eq!(place.positions(), (first..=200).collect::<Vec<_>>());
}

#[test]
fn a_finished_file_is_never_touched_again() {
    let (mut place, log) = (Place::new(), Log::default());
    place.file_bytes_max = 10_000;
    log.epoch();
    log.batch(50);
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    assert!(
        worker.flush_in(Phase::Exporting).unwrap().is_zero(),
        "it is full"
    );
    worker.flush(Phase::Exporting).unwrap();
    log.batch(1);
    export_all(&mut worker, &log);
    assert_eq!(place.files().len(), 2);
    let finished = fs::read(&place.files()[0]).unwrap();
    // A crash: the second file was not flushed.
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    assert_eq!(place.files().len(), 1);
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(fs::read(&place.files()[0]).unwrap(), finished);
    assert_eq!(place.positions(), (1..=51).collect::<Vec<_>>());
}

#[test]
fn an_exporter_whose_file_is_gone_goes_on_in_another_series() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(2);
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    let first = place.files()[0].clone();
    fs::remove_file(&first).unwrap();
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    log.batch(1);
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(place.positions(), [3]);
}

#[test]
fn files_of_another_life_of_the_partition_are_left_alone() {
    let place = Place::new();
    let log = Log::default();
    log.epoch();
    log.batch(3);
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    let (before, content) = (place.files(), fs::read(&place.files()[0]).unwrap());
    // As after a restore: the position is gone, and the log begins anew where the backup was.
    fs::remove_file(place.directory.path().join("position")).unwrap();
    let restored = Log::default();
    restored.epoch();
    restored.batch(2);
    let mut worker = place.worker(&restored, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &restored);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(fs::read(&before[0]).unwrap(), content);
    assert_eq!(place.files().len(), 2);
    assert_eq!(place.positions(), [1, 2, 3, 1, 2]);
}

#[test]
fn a_log_that_has_not_kept_what_is_missing_is_gone_on_with_from_the_store() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(2);
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    drop(worker);
    // The exporter was not configured for a while.
    log.batch(3);
    log.batch(1);
    let stored = log.progress();
    log.compact(3);
    log.batch(1);
    let mut worker = place.worker(&log, stored);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(place.positions(), [1, 2, 7]);
}

#[test]
fn a_filter_leaves_records_out_but_not_their_positions() {
    let (mut place, log) = (Place::new(), Log::default());
    place.filter = Filter::of_names(&["COMMAND".to_owned()], &[]).unwrap();
    log.epoch();
    log.batch(5);
    let mut worker = place.worker(&log, NOTHING);
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(place.positions(), [2, 4]);
    assert_eq!(worker.status().acknowledged(), Position(5));
    let counts = worker.status().counts();
    let counts = counts
        .iter()
        .map(|counted| (counted.value_type, counted.exported.count, counted.skipped));
    assert_eq!(counts.collect::<Vec<_>>(), [(ValueType::Variable, 2, 3)]);
}

#[test]
fn a_stopped_thread_has_exported_all_that_was_committed() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(2);
    let worker = place.worker(&log, NOTHING);
    let status = worker.status();
    let feed = Arc::new(Feed::new(Index(0)));
    let thread = ExporterThread::spawn("export".to_owned(), worker, Arc::clone(&feed)).unwrap();
    for _ in 0..50 {
        log.batch(3);
        feed.committed(Index(log.end().0 - 1));
    }
    feed.stop();
    thread.join();
    assert_eq!(place.positions(), (1..=152).collect::<Vec<_>>());
    assert_eq!(status.acknowledged(), Position(152));
    assert_eq!(status.failure(), None);
}

#[test]
fn a_paused_exporter_exports_nothing_until_it_goes_on() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(2);
    let feed = Arc::new(Feed::new(log.end()));
    feed.set_phase(Phase::Paused);
    let worker = place.worker(&log, NOTHING);
    let thread = ExporterThread::spawn("export".to_owned(), worker, Arc::clone(&feed)).unwrap();
    feed.stop();
    thread.join();
    assert!(place.positions().is_empty());
    let feed = Arc::new(Feed::new(log.end()));
    let worker = place.worker(&log, NOTHING);
    let thread = ExporterThread::spawn("export".to_owned(), worker, Arc::clone(&feed)).unwrap();
    feed.stop();
    thread.join();
    assert_eq!(place.positions(), [1, 2]);
}

#[test]
fn an_exporter_that_never_came_to_export_anything_goes_on_where_it_was_configured() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    drop(place.worker(&log, NOTHING));
    log.batch(3);
    // The store has got ahead meanwhile; the log has kept everything.
    let mut worker = place.worker(&log, log.progress());
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(place.positions(), [1, 2, 3]);
}

#[test]
fn an_output_that_cannot_be_used_is_told_and_nothing_is_released() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(2);
    fs::write(place.output(), "in the way").unwrap();
    let mut worker = place.worker(&log, NOTHING);
    let error = worker.open().unwrap_err().to_string();
    assert!(error.contains("partition-1"), "{error}");
    worker.failed(error.clone());
    assert_eq!(worker.status().failure(), Some(error));
    assert_eq!(log.released(), Index(0));
    fs::remove_file(place.output()).unwrap();
    worker.open().unwrap();
    export_all(&mut worker, &log);
    worker.flush(Phase::Exporting).unwrap();
    assert_eq!(worker.status().failure(), None);
    assert_eq!(place.positions(), [1, 2]);
}

#[test]
fn the_next_leaders_exporter_goes_on_where_that_of_the_former_was_durable() {
    let log = Log::default();
    log.epoch();
    log.batch(4);
    let places = [Place::new(), Place::new()];
    let [mut former, mut next] = [0, 1].map(|node| places[node].worker(&log, NOTHING));
    former.open().unwrap();
    export_all(&mut former, &log);
    former.flush(Phase::Exporting).unwrap();
    log.batch(2);
    export_all(&mut former, &log);
    // It is lost with what it has not flushed.
    next.status().hear(former.status().durable());
    next.adopt().unwrap();
    assert_eq!(next.status().acknowledged(), Position(4));
    assert_eq!(log.released(), Index(2));
    log.epoch();
    log.batch(1);
    next.open().unwrap();
    export_all(&mut next, &log);
    next.flush(Phase::Exporting).unwrap();
    assert_eq!(places[1].positions(), [5, 6, 7]);
    // What is behind what it has itself is no news.
    next.status().hear(NOTHING);
    next.adopt().unwrap();
    assert_eq!(next.status().acknowledged(), Position(7));
}

#[test]
fn an_exporter_whose_turn_it_is_not_exports_nothing_until_it_is() {
    let (place, log) = (Place::new(), Log::default());
    log.epoch();
    log.batch(3);
    let feed = Arc::new(Feed::new(log.end()));
    feed.set_leads(false);
    let worker = place.worker(&log, NOTHING);
    let status = worker.status();
    let thread = ExporterThread::spawn("exporter".to_owned(), worker, Arc::clone(&feed)).unwrap();
    // The leader's exporter has taken the first entry; this shows that the thread follows.
    let mut heard = NOTHING;
    heard.next = Index(1);
    heard.epoch = skep_protocol::Epoch(1);
    status.hear(heard);
    while status.released() != Index(1) {
        std::thread::yield_now();
    }
    assert!(!place.output().exists());
    feed.set_leads(true);
    while status.acknowledged() != Position(3) {
        std::thread::yield_now();
    }
    feed.stop();
    thread.join();
    assert_eq!(place.positions(), [1, 2, 3]);
}

#[test]
fn a_replica_that_was_given_content_leaves_out_only_what_its_log_has_not() {
    for has_it in [true, false] {
        let (place, log) = (Place::new(), Log::default());
        log.epoch();
        log.batch(2);
        let mut worker = place.worker(&log, NOTHING);
        worker.open().unwrap();
        export_all(&mut worker, &log);
        log.batch(3);
        worker.status().log_begins_after(log.progress());
        if !has_it {
            log.compact(3);
        }
        log.batch(2);
        export_all(&mut worker, &log);
        worker.flush(Phase::Exporting).unwrap();
        let left_out = if has_it { 3..3 } else { 3..6 };
        let expected: Vec<i64> = (1..=7).filter(|at| !left_out.contains(at)).collect();
        assert_eq!(place.positions(), expected);
        assert_eq!(log.released(), log.end());
    }
}
