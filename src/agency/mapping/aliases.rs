//! The headers by which UK systems, and the common research sets, call the fields.
//!
//! May see: headers. Must not see: values of an extract, keys.

use super::{Field, MappingError};
use std::collections::BTreeMap;

/// Headers per field, folded (lower case, letters and digits only); for joined fields in joining order.
const ALIASES: [(Field, &[&str]); 21] = [
    (
        Field::RecordId,
        &[
            "recordid",
            "localid",
            "id",
            "adno",
            "admissionno",
            "admissionnumber",
            "personid",
            "pid",
            "nominalref",
            "nominalid",
            "clientid",
            "caseid",
            "caseref",
            "pupilid",
            "patientid",
            "studentid",
            "childid",
            "recid",
            "urn",
            "uid",
            "systemid",
            "mosaicid",
            "liquidlogicid",
            "hospitalnumber",
            "localpatientid",
            "recordref",
        ],
    ),
    (
        Field::FullName,
        &["fullname", "name", "childname", "pupilname", "clientname", "patientname", "childsname"],
    ),
    (
        Field::GivenName,
        &[
            "givenname",
            "givennames",
            "forename",
            "forenames",
            "firstname",
            "firstnames",
            "legalforename",
            "legalforenames",
            "legalfirstname",
            "forename1",
            "firstforename",
            "christianname",
            "givenname1",
            "childforename",
            "pupilforename",
        ],
    ),
    (
        Field::MiddleNames,
        &[
            "middlename",
            "middlenames",
            "forename2",
            "secondforename",
            "forename3",
            "thirdforename",
            "othernames",
            "otherforenames",
            "middleinitial",
            "middleinitials",
            "legalmiddlenames",
        ],
    ),
    (
        Field::KnownAsGiven,
        &[
            "preferredforename",
            "preferredname",
            "preferredfirstname",
            "preferredgivenname",
            "knownas",
            "knownasforename",
            "knownasname",
            "knownasgiven",
            "chosenforename",
            "chosenname",
            "likestobecalled",
            "knownasgivenname",
        ],
    ),
    (
        Field::FamilyName,
        &[
            "familyname",
            "surname",
            "lastname",
            "legalsurname",
            "legalfamilyname",
            "legallastname",
            "childsurname",
            "pupilsurname",
        ],
    ),
    (
        Field::KnownAsFamily,
        &[
            "preferredsurname",
            "preferredfamilyname",
            "preferredlastname",
            "chosensurname",
            "knownassurname",
            "knownasfamily",
            "knownasfamilyname",
        ],
    ),
    (Field::Alias, &["alias", "aliases", "aka", "alsoknownas", "aliasname"]),
    (
        Field::DateOfBirth,
        &[
            "dateofbirth",
            "dob",
            "birthdate",
            "birthdt",
            "dtob",
            "dateborn",
            "childdob",
            "pupildob",
            "persondob",
        ],
    ),
    (
        Field::DateEstimated,
        &[
            "dateestimated",
            "dobestimated",
            "estimateddob",
            "dobest",
            "dateofbirthestimated",
            "isdobestimated",
            "dobisestimated",
        ],
    ),
    (Field::Sex, &["sex", "gender", "sexcode", "gendercode", "legalsex", "sexatbirth"]),
    (
        Field::Postcode,
        &[
            "postcode",
            "postalcode",
            "pcode",
            "pcd",
            "homepostcode",
            "currentpostcode",
            "postcodeofusualaddress",
            "zip",
            "zipcode",
        ],
    ),
    (
        Field::Address,
        &[
            "address",
            "homeaddress",
            "fulladdress",
            "currentaddress",
            "unitnumber",
            "flat",
            "housename",
            "housenumber",
            "streetnumber",
            "street",
            "streetname",
            "road",
            "addressline1",
            "address1",
            "addressline2",
            "address2",
            "addressline3",
            "address3",
            "suburb",
            "locality",
            "town",
        ],
    ),
    (Field::NhsNumber, &["nhsnumber", "nhsno", "nhs", "nhsnum"]),
    (Field::Upn, &["upn", "uniquepupilnumber", "pupilnumber"]),
    // What may travel in clear is never recognised by a system's header, only by its own name.
    (Field::RecordType, &["recordtype"]),
    (Field::AreaCode, &["areacode"]),
    (Field::AgeBand, &["ageband"]),
    (Field::LastSeen, &["lastseen"]),
    (Field::Expiry, &["expiry"]),
    (Field::Visibility, &["visibility"]),
];

/// Other texts by name.
const TEXTS: [(&str, &[&str]); 1] = [("birth_place", &["birthplace", "placeofbirth", "townofbirth"])];

/// A header without case, spaces, underscores and punctuation.
pub(in crate::agency) fn folded(header: &str) -> String {
    header.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The fields that headers name, each with its headers in joining order.
pub(super) fn recognise(headers: &[String]) -> Result<BTreeMap<Field, Vec<String>>, MappingError> {
    let folded: Vec<String> = headers.iter().map(|header| folded(header)).collect();
    let mut fields = BTreeMap::new();
    for (field, aliases) in ALIASES {
        let of = |alias: &&str| folded.iter().position(|other| other == alias).map(|at| headers[at].clone());
        let found: Vec<String> = aliases.iter().filter_map(of).collect();
        let several = matches!(field, Field::Address | Field::MiddleNames);
        if found.len() > 1 && !several {
            let headers = found.iter().map(|header| format!("'{header}'")).collect::<Vec<_>>().join(" and ");
            return Err(MappingError::Ambiguous { field: field.name(), headers });
        }
        if !found.is_empty() {
            fields.insert(field, found);
        }
    }
    Ok(fields)
}

/// The other texts that headers name.
pub(super) fn recognise_texts(headers: &[String]) -> Vec<(&'static str, String)> {
    let named = |aliases: &[&str]| headers.iter().find(|header| aliases.contains(&folded(header).as_str()));
    TEXTS.iter().filter_map(|(name, aliases)| Some((*name, named(aliases)?.clone()))).collect()
}
