//! `lookup`, `lookup-batch`, `front-door`: questions about one child or many, each written into the centre's ledger.

use super::ask::{FromArgs, band, warnings};
use super::encode::{WithArgs, encode_extract};
use super::encodings::read_encodings;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::extract::{ExtractArgs, open_extract};
use super::files::{read_text, write_atomic};
use super::term::{Terminal, count, table};
use super::workspace::{client, client_failure};
use crate::agency::key::AgencyKey;
use crate::wire::arrow::write_stream;
use crate::wire::messages::{
    Answer, CaseReference, ContactPoint, EncodingHex, FrontDoorAnswer, FrontDoorRequest, LOOKUPS_MAX, Line,
    LookupAnswer, LookupBatchAnswer, LookupBatchRequest, LookupRequest, PartyMessage, ReasonCode,
    RecordAnswer,
};
use crate::wire::{LawfulBasis, PurposeCode, RecordRef, limits};
use clap::Args;
use std::path::PathBuf;

/// What a question states, as the project's agreement asks for it.
#[derive(Debug, Args)]
struct StatedArgs {
    /// Why you ask: a purpose code of the project's agreement.
    #[arg(long, value_name = "CODE")]
    purpose: PurposeCode,
    /// Your case reference, where the agreement asks for one.
    #[arg(long, value_name = "CODE")]
    case: Option<CaseReference>,
    /// The lawful basis, where the agreement asks for one.
    #[arg(long, value_name = "CODE")]
    lawful_basis: Option<LawfulBasis>,
    /// Says that detriment to the child was considered, where the agreement asks for that.
    #[arg(long)]
    detriment_considered: bool,
}

/// Asks which other agencies know the child of one of your own records. The question and its purpose
/// and your account's name are written into the centre's ledger.
#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// Your own id of the record, as it stands in your extract.
    record: String,
    #[command(flatten)]
    stated: StatedArgs,
    #[command(flatten)]
    from: FromArgs,
}

pub(crate) fn lookup(args: &LookupArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let config = &workspace.config;
    let own = AgencyKey::read(&config.agency_key).map_err(super::keygen::key_failure)?;
    let stated = &args.stated;
    let request = LookupRequest {
        record: own.refs(&config.agency, &config.project).record_ref(&args.record),
        purpose: Some(stated.purpose.clone()),
        case: stated.case.clone(),
        lawful_basis: stated.lawful_basis.clone(),
        detriment_considered: stated.detriment_considered.then_some(true),
    };
    let path = format!("/v1/projects/{}/lookups", config.project);
    let answer: LookupAnswer = client.post(&path, &request, None).map_err(client_failure)?;
    if terminal.json {
        terminal.report(&answer)?;
    } else {
        print_answer(&answer, terminal)?;
    }
    Ok(Exit::Done)
}

/// Asks about many of your own records for one purpose and case: each is charged and stands in the ledger.
#[derive(Debug, Args)]
pub(crate) struct LookupBatchArgs {
    /// File with your own ids of the records, one a line.
    records: PathBuf,
    /// Write the answers as CSV: one line for each record and agency, one with empty cells where there is none.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    stated: StatedArgs,
    #[command(flatten)]
    from: FromArgs,
}

pub(crate) fn lookup_batch(args: &LookupBatchArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let (config, stated) = (&workspace.config, &args.stated);
    let own = AgencyKey::read(&config.agency_key).map_err(super::keygen::key_failure)?;
    let refs = own.refs(&config.agency, &config.project);
    let text = read_text(&args.records, limits::CONFIG_BYTES_MAX)?;
    let ids: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let path = format!("/v1/projects/{}/lookup-batches", config.project);
    let bar = terminal.progress("asking", "records", ids.len() as u64);
    let mut answers: Vec<RecordAnswer> = Vec::new();
    for part in ids.chunks(LOOKUPS_MAX) {
        let request = LookupBatchRequest {
            records: part.iter().map(|id| refs.record_ref(id)).collect::<Vec<RecordRef>>(),
            purpose: Some(stated.purpose.clone()),
            case: stated.case.clone(),
            lawful_basis: stated.lawful_basis.clone(),
            detriment_considered: stated.detriment_considered.then_some(true),
        };
        let answer: LookupBatchAnswer = client.post(&path, &request, None).map_err(client_failure)?;
        answers.extend(answer.answers);
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    write_csv(&args.out, &ids, &answers)?;
    let unknown = answers.iter().filter(|answer| answer.answer.is_none()).count();
    let known = answers.iter().filter(|answer| !answer.matches.is_empty()).count();
    if terminal.json {
        let asked = ids.len();
        terminal.report(&serde_json::json!({
            "asked": asked, "known_elsewhere": known, "not_among_own": unknown, "file": args.out,
        }))?;
    } else {
        terminal.line(format!(
            "{} asked, {} known to somebody who may be named, {} not among your current records -> {}",
            count(ids.len() as u64),
            count(known as u64),
            count(unknown as u64),
            args.out.display()
        ))?;
    }
    Ok(if unknown > 0 { Exit::Findings } else { Exit::Done })
}

fn write_csv(out: &std::path::Path, ids: &[&str], answers: &[RecordAnswer]) -> Result<(), Failure> {
    write_atomic(out, |file| {
        let mut csv = csv::Writer::from_writer(file);
        let head = ["record_id", "answer", "agency", "band", "reference", "team", "telephone", "data_as_of"];
        csv.write_record(head).or_exit(Exit::Internal)?;
        for (id, answer) in ids.iter().zip(answers) {
            let said = match answer.answer {
                Some(Answer::Yes) => "yes",
                Some(Answer::Possibly) => "possibly",
                Some(Answer::AskOperator) => "ask_operator",
                Some(Answer::NotLinkedYet) => "not_linked_yet",
                Some(Answer::NoMatchFound) => "no_match_found",
                None => "not_among_own",
            };
            // Besides who is named, somebody is to be asked for.
            if answer.unnamed && answer.answer != Some(Answer::AskOperator) {
                csv.write_record([*id, "ask_operator", "", "", "", "", "", ""]).or_exit(Exit::Internal)?;
            }
            if answer.matches.is_empty() {
                csv.write_record([*id, said, "", "", "", "", "", ""]).or_exit(Exit::Internal)?;
            }
            for found in &answer.matches {
                let knows = &found.knows;
                let contact = knows.contact.as_ref();
                let cells = [
                    (*id).to_owned(),
                    said.to_owned(),
                    knows.agency.to_string(),
                    band(knows.band).to_owned(),
                    found.reference.to_string(),
                    call(contact.map(|contact| &contact.team)),
                    call(contact.and_then(|contact| contact.telephone.as_ref())),
                    knows.data_as_of.to_string(),
                ];
                csv.write_record(cells).or_exit(Exit::Internal)?;
            }
        }
        csv.flush().or_exit(Exit::Internal)
    })
}

/// Asks who knows somebody who is not on your system: for front-door staff, with a case and a reason; some questions are
/// looked at by a second person. The person is encoded here; the name stays here.
#[derive(Debug, Args)]
pub(crate) struct FrontDoorArgs {
    /// The person: a CSV of one row, with the headers of your extracts.
    person: PathBuf,
    /// Why this person, as a code: new-referral, say.
    #[arg(long, value_name = "CODE")]
    reason: ReasonCode,
    #[command(flatten)]
    stated: StatedArgs,
    /// The workspace.
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
}

pub(crate) fn front_door(args: &FrontDoorArgs, terminal: Terminal) -> Outcome {
    let setup = WithArgs::of_workspace(&args.workspace)?;
    let Some(workspace) = setup.workspace else { return Ok(Exit::Internal) };
    let client = client(&workspace)?;
    let reading = ExtractArgs { columns: Some(workspace.config.columns.clone()), refuse_bad_rows: true };
    let extract = open_extract(&args.person, &reading, None, terminal)?;
    let folder = tempfile::tempdir_in(&args.workspace).or_exit(Exit::Internal)?;
    let out = folder.path().join("person.parquet");
    encode_extract(&setup.encoder, extract, &args.person, &out, None)?;
    let (header, batch) = read_encodings(&out)?;
    if batch.len() != 1 {
        return Err(Failure::new(Exit::BadInput, "a front-door question is about one person: give one row"));
    }
    let stated = &args.stated;
    let request = FrontDoorRequest {
        encoding: EncodingHex::new(write_stream(&batch).or_exit(Exit::Internal)?),
        schema_fingerprint: header.schema_fingerprint,
        key_check: header.key_check,
        epoch: header.epoch,
        purpose: Some(stated.purpose.clone()),
        case: stated.case.clone(),
        lawful_basis: stated.lawful_basis.clone(),
        detriment_considered: stated.detriment_considered.then_some(true),
        reason: args.reason.clone(),
    };
    let path = format!("/v1/projects/{}/front-door", workspace.config.project);
    let answer: FrontDoorAnswer = client.post(&path, &request, None).map_err(client_failure)?;
    if terminal.json {
        terminal.report(&answer)?;
        return Ok(Exit::Done);
    }
    print_word(answer.answer, terminal)?;
    let rows = answer.matches.iter().map(|found| {
        let [team, hours] = whom(found.contact.as_ref());
        let (band, warnings) = (band(found.band).to_owned(), warnings(&found.reasons));
        [found.name.to_string(), band, warnings, team, hours, found.data_as_of.to_string()]
    });
    if !answer.matches.is_empty() {
        terminal.tell(table(["agency", "band", "warnings", "call", "out of hours", "data as of"], rows))?;
    }
    print_parties(&answer.parties, terminal)?;
    terminal.tell(format!("quote ledger entry {}", answer.entry))?;
    Ok(Exit::Done)
}

const ELSE: &str = "Somebody else is to be asked, and nobody is named for it: call the centre's operator.";

fn call(line: Option<&Line>) -> String {
    line.map(ToString::to_string).unwrap_or_default()
}

/// Whom to call now, and out of hours.
fn whom(contact: Option<&ContactPoint>) -> [String; 2] {
    let telephone = contact.and_then(|contact| contact.telephone.as_ref());
    let now = format!("{} {}", call(contact.map(|contact| &contact.team)), call(telephone));
    [now, call(contact.and_then(|contact| contact.out_of_hours.as_ref()))]
}

fn print_word(answer: Answer, terminal: Terminal) -> Result<(), Failure> {
    terminal.tell(match answer {
        Answer::Yes => "Yes: another agency knows this child.",
        Answer::Possibly => "Possibly: somebody should look before anybody relies on it.",
        Answer::AskOperator => {
            "Somebody is to be asked, and nobody is named for it: call the centre's operator. This is not \"no match\"."
        }
        Answer::NotLinkedYet => {
            "Not linked yet: no run has compared this record with everybody. Ask again after the next run."
        }
        Answer::NoMatchFound => "No match found. That is not the same as not known.",
    })
}

fn print_parties(parties: &[PartyMessage], terminal: Terminal) -> Result<(), Failure> {
    let fresh = parties.iter().map(|party| {
        let as_of = party.data_as_of.map_or_else(|| "has sent nothing yet".to_owned(), |at| at.to_string());
        [party.name.to_string(), as_of]
    });
    terminal.tell(table(["asked", "its data is as of"], fresh))
}

/// Prints the answer to a look-up as a practitioner reads it.
pub(crate) fn print_answer(answer: &LookupAnswer, terminal: Terminal) -> Result<(), Failure> {
    print_word(answer.answer, terminal)?;
    let rows = answer.matches.iter().map(|found| {
        let [now, out_of_hours] = whom(found.knows.contact.as_ref());
        [
            found.knows.name.to_string(),
            band(found.knows.band).to_owned(),
            warnings(&found.knows.reasons),
            now,
            out_of_hours,
            found.knows.data_as_of.to_string(),
            found.reference.to_string(),
        ]
    });
    if !answer.matches.is_empty() {
        let heading = ["agency", "band", "warnings", "call", "out of hours", "data as of", "quote"];
        terminal.tell(table(heading, rows))?;
    }
    if answer.unnamed && answer.answer != Answer::AskOperator {
        terminal.tell(ELSE)?;
    }
    print_parties(&answer.parties, terminal)
}
