//! Generated extracts are read by the agency's reader with the mapping that comes with them, and nothing is found in
//! them but what the truth says was put there.

#![cfg(feature = "agency")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use blindlink::agency::check::{Report, Rule};
use blindlink::agency::mapping::Mapping;
use blindlink::agency::reader::{Extract, Options};
use blindlink::synth::{Config, Event, Generator, Size, push_row};

/// Each agency's extract as CSV, and how often each event is in it.
fn extracts(config: &Config) -> Vec<(Vec<u8>, Vec<Event>)> {
    let mut all = vec![(Vec::new(), Vec::new()); config.agencies.len()];
    for ((csv, _), agency) in all.iter_mut().zip(&config.agencies) {
        push_row(csv, agency.kind.columns().iter().map(|column| column.header));
    }
    for record in Generator::new(config.clone()).unwrap().flat_map(|family| family.records) {
        let (csv, events) = &mut all[record.agency];
        push_row(csv, record.cells.iter().map(String::as_str));
        events.extend(record.truth.events);
    }
    all
}

fn read(csv: &[u8], mapping: &Mapping) -> Report {
    let today = jiff::civil::date(2026, 9, 1);
    let mut extract = Extract::open(csv, mapping, Options::new(today)).unwrap();
    while extract.next_batch().unwrap().is_some() {}
    extract.report()
}

#[test]
fn the_reader_takes_every_agency_and_finds_only_what_was_put_in() {
    let config = Config::new("extracts", Size::Families(3000));
    for ((csv, events), agency) in extracts(&config).iter().zip(&config.agencies) {
        let mapping = Mapping::from_toml(&agency.kind.mapping_toml(config.today)).unwrap();
        let report = read(csv, &mapping);
        let name = &agency.name;
        let happened = |event| events.iter().filter(|e| **e == event).count() as u64;
        assert!(report.rows > 100 && report.rejected == 0, "{name}: {report:?}");
        assert!(report.safe_to_send, "{name}: {}", report.closing_line());
        for rule in
            [Rule::DateFormat, Rule::DateImpossible, Rule::DateFuture, Rule::DateTooOld, Rule::SexUnknownCode]
        {
            assert_eq!(report.count(rule), 0, "{name}: {rule:?}");
        }
        for rule in [Rule::NameUnreadable, Rule::NhsNumberInvalid, Rule::NhsNumberRepeated, Rule::UpnInvalid]
        {
            assert_eq!(report.count(rule), 0, "{name}: {rule:?}");
        }
        let missing = |field: &str| report.fields.iter().find(|count| count.field == field).unwrap().missing;
        assert_eq!(missing("sex"), happened(Event::SexMissing), "{name}");
        assert!(report.count(Rule::PostcodeInvalid) <= happened(Event::PostcodeError), "{name}");
        assert_eq!(report.count(Rule::NamePlaceholder), happened(Event::Placeholder), "{name}");
        assert!(report.count(Rule::DateDefault) >= happened(Event::DobDefault), "{name}");
        assert!(report.unused_columns.iter().all(|column| column == "TeamCode" || column == "Setting"));
    }
}
