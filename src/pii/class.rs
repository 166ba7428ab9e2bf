//! The classes of personal data.

use crate::transform::plan::Confidence;

/// One class; the order is the order in which names are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Secret,
    Ip,
    MacDevice,
    VinPlate,
    Card,
    CardSecret,
    Bank,
    CryptoWallet,
    SsnUs,
    TaxId,
    NationalId,
    Passport,
    Licence,
    Mrn,
    HealthPlan,
    BiometricImage,
    Email,
    Phone,
    Dob,
    Age,
    EventDate,
    FirstName,
    LastName,
    FullName,
    Username,
    Street,
    City,
    Postal,
    Geo,
    Url,
    UserAgent,
    SpecialCategory,
    Health,
    Demographic,
    Company,
    Finance,
    ExternalId,
    FreeText,
    SearchCopy,
    Embedding,
    ChangeCopy,
}

/// What a name or values say about a column. Holds no value.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub class: Class,
    pub confidence: Confidence,
    /// Such as `name matches email` or `98 % of 200 values are e-mail addresses`.
    pub evidence: String,
}
