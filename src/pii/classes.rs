//! The table of classes: names, letters of 45 CFR 164.514(b)(2), name patterns, type gates.
//!
//! Patterns are matched on token boundaries of snake-cased, accent-folded names.

use super::class::Class;

pub(super) struct Row {
    pub(super) class: Class,
    pub(super) name: &'static str,
    /// HIPAA Safe Harbor identifier; R: any other unique one; else the rule that makes it matter.
    pub(super) letter: &'static str,
    pub(super) pattern: &'static str,
    /// Letters of [`super::name::kind_letter`] that the class can have.
    pub(super) gate: &'static str,
    /// What the values are, for evidence.
    pub(super) plural: &'static str,
}

/// Names that are never personal by name alone.
pub(super) const GUARD: &str = "^(is|has|can|should|allow|enable|num|count|total|max|min|avg|n)_|_(verified|confirmed|validated|sent|opened|clicked|bounced|count|cnt|total|status|state_id|template|template_id|enabled|disabled|flag|type|kind|brand|format|length|strategy|version|attempts?|required|visible|verified_at|sent_at|expires|expires_at|expiry_at|updated_at|created_at|changed_at|confirmed_at|type_id|brand_id|at)$";

/// Classes whose own names end in a guarded word (`marital_status`, `died_at`, `blood_type`).
pub(super) const GUARD_EXEMPT: [Class; 4] =
    [Class::Dob, Class::EventDate, Class::SpecialCategory, Class::Health];

/// Names that mean several things: only values make them personal.
pub(super) const AMBIGUOUS: [&str; 72] = [
    "cf",
    "sin",
    "rut",
    "cnp",
    "cp",
    "cap",
    "zip",
    "cc",
    "cb",
    "ip",
    "mac",
    "aba",
    "rib",
    "tin",
    "dea",
    "ort",
    "via",
    "eta",
    "ua",
    "nom",
    "race",
    "rue",
    "apt",
    "pan",
    "csc",
    "bsb",
    "blz",
    "acn",
    "udi",
    "pin",
    "calle",
    "alter",
    "rego",
    "vec",
    "emb",
    "nome",
    "handle",
    "link",
    "portable",
    "cookie",
    "salt",
    "orientation",
    "serial",
    "before",
    "after",
    "diff",
    "logo",
    "signature",
    "plate",
    "nick",
    "login",
    "browser",
    "condition",
    "treatment",
    "department",
    "political",
    "lon",
    "long",
    "point",
    "recipient",
    "recipients",
    "code_client",
    "extra",
    "cell",
    "mobile",
    "sex",
    "lat",
    "patente",
    "targa",
    "commune",
    "comune",
    "cep",
];

/// The last token of a table that holds people.
pub(super) const PERSON_TABLES: [&str; 66] = [
    "user",
    "person",
    "people",
    "patient",
    "employee",
    "customer",
    "client",
    "contact",
    "lead",
    "member",
    "student",
    "teacher",
    "doctor",
    "physician",
    "nurse",
    "author",
    "guest",
    "visitor",
    "staff",
    "subscriber",
    "applicant",
    "candidate",
    "beneficiary",
    "cardholder",
    "passenger",
    "participant",
    "parent",
    "child",
    "children",
    "guardian",
    "owner",
    "agent",
    "player",
    "voter",
    "donor",
    "volunteer",
    "resident",
    "driver",
    "profile",
    "friend",
    "recipient",
    "signer",
    "worker",
    "colleague",
    "coach",
    "attendee",
    "dependent",
    "spouse",
    "relative",
    "individual",
    "citizen",
    "buyer",
    "seller",
    "lawyer",
    "attorney",
    "tutor",
    "actor",
    "artist",
    "reviewer",
    "respondent",
    "witness",
    "clinician",
    "practitioner",
    "personne",
    "kunde",
    "usuario",
];

macro_rules! rows {
    ($(($class:ident, $name:literal, $letter:literal, $gate:literal, $plural:literal, $pattern:literal),)*) => {
        pub(super) const ROWS: &[Row] = &[$(Row {
            class: Class::$class, name: $name, letter: $letter, pattern: $pattern, gate: $gate,
            plural: $plural,
        },)*];
    };
}

rows![
    (
        Secret,
        "secret",
        "R",
        "tbuij",
        "secrets",
        "pass(word|wd|phrase|code)?|pwd|mot_?de_?passe|secret(_key)?|api_?key|access_?key|private_?key|licen[cs]e_?key|secret_?key|encryption_?key|signing_?key|(access|refresh|auth|bearer|session|csrf|reset|remember|push|device|id|api)?_?token|encrypted_password|password_(hash|digest|salt)|passwd|otp|totp|mfa|pin(_?code)?|recovery_?codes?|salt|session_?(id|key)|session_?data|cookie|credentials?"
    ),
    (
        Ip,
        "ip",
        "O",
        "tx",
        "IP addresses",
        "ip|ip_?v[46]|ip_?addr(ess)?|remote_?(addr|ip)|(client|last|login|source|src|user|signup|current)_?ip|adresse_ip|x_forwarded_for"
    ),
    (
        MacDevice,
        "mac_device",
        "M",
        "tmui",
        "device identifiers",
        "mac|mac_?addr(ess)?|imei|imsi|iccid|meid|udid|udi|serial(_?(no|num(ber)?))?|device_?(id|uid|serial|fingerprint)|fingerprint|idfa|idfv|gaid|adid|android_?id|advertising_?id|hardware_?id"
    ),
    (
        VinPlate,
        "vin_plate",
        "L",
        "t",
        "vehicle identifiers",
        "vin|vehicle_?(id|no|num(ber)?|identification(_number)?|reg(istration)?)|chassis(_?no)?|(licen[cs]e|number|registration)_?plate|plate(_?(no|num(ber)?))?|plaque(_immatriculation)?|immatriculation|(kfz_?)?kennzeichen|rego|targa|matricula"
    ),
    (
        Card,
        "card",
        "J",
        "tin",
        "card numbers",
        "(credit|debit|payment|bank)_?card(_?(no|num(ber)?))?|card_?(no|num(ber)?|pan)|cc_?(no|num(ber)?)?|carte_?(bancaire|credit)|cb|kreditkarte(n_?nummer)?|tarjeta(_credito)?|primary_account_number"
    ),
    (
        CardSecret,
        "card_secret",
        "J",
        "tind",
        "card secrets",
        "cvv2?|cvc2?|csc|card_?exp(iry|iration)?(_?(date|month|year))?|exp_?(month|year)"
    ),
    (
        Bank,
        "bank",
        "J",
        "tin",
        "bank account numbers",
        "iban|bic|swift(_?code)?|(bank_?)?acc(oun)?t_?(no|num(ber)?|holder)|bank_?acc(oun)?t|routing(_?(no|num(ber)?))?|aba|sort_?code|bsb|rib|clabe|kontonummer|blz"
    ),
    (
        CryptoWallet,
        "crypto_wallet",
        "J",
        "tb",
        "wallet addresses",
        "wallet(_?addr(ess)?)?|btc(_?addr(ess)?)?|eth(_?addr(ess)?)?|bitcoin(_?address)?|crypto_?addr(ess)?"
    ),
    (
        SsnUs,
        "ssn_us",
        "G",
        "tin",
        "social security numbers",
        "ssn|ss_?(no|num(ber)?)|soc(ial)?_?sec(urity)?(_?(no|num(ber)?|id))?|social_?(no|num(ber)?)"
    ),
    (
        TaxId,
        "tax_id",
        "G",
        "tin",
        "tax identifiers",
        "itin|tin|ein|tax_?(id|no|num(ber)?|payer_?id)|fiscal_?(id|code|number)|vat(_?(id|no|num(ber)?))|vat|tva(_intra|_assuj)?|siren|siret|abn|acn|gstin|ust_?id|steuer_?(id|nr|nummer)|idnr|partita_?iva"
    ),
    (
        NationalId,
        "national_id",
        "G",
        "tin",
        "national identifiers",
        "national_?(id|insurance)(_?(no|num(ber)?))?|id_?card(_?(no|num(ber)?))?|nino|nhs(_?(no|num(ber)?))?|sin|nir|insee|numero_?(ss|secu)|securite_?sociale|dni|nie|nif|codice_?fiscale|cf|pesel|personnummer|samordningsnummer|hetu|henkilotunnus|bsn|cpf|rut|curp|aadhaar|aadhar|pan_?(no|num(ber)?|card)|nric|tckn|tc_?kimlik(_?no)?|kimlik_?no|rrn|rvnr|svnr|sozialversicherungs(nummer|nr)|rentenversicherungsnummer|personalausweis(nummer)?|ausweisnummer|egn|cnp|oib|ahv"
    ),
    (
        Passport,
        "passport",
        "K",
        "ti",
        "passport numbers",
        "passport(_?(no|num(ber)?))?|reisepass(nummer)?|passeport|pasaporte|passaporto|mrz|travel_?doc(ument)?(_?(no|num(ber)?))?"
    ),
    (
        Licence,
        "licence",
        "K",
        "tin",
        "licence numbers",
        "driv(er|ers|ing)_?licen[cs]e(_?(no|num(ber)?|id))?|dl_?(no|num(ber)?)|licen[cs]e_?(no|num(ber)?)|permis(_conduire)?|fuhrerschein(nummer)?|patente|certificate_?(no|num(ber)?)|npi|dea(_?(no|num(ber)?))?|upin|medical_?licen[cs]e"
    ),
    (
        Mrn,
        "mrn",
        "H",
        "tinu",
        "medical record numbers",
        "mrn|med(ical)?_?rec(ord)?(_?(no|num(ber)?|id))?|chart_?(no|num(ber)?|id)|patient_?(no|num(ber)?|id|mrn|ref)|hospital_?(no|num(ber)?)|(id_)?dossier_medical"
    ),
    (
        HealthPlan,
        "health_plan",
        "I",
        "tinu",
        "health plan numbers",
        "(member|subscriber|beneficiary|insured|enrollee)_?(id|no|num(ber)?)|policy_?(no|num(ber)?|holder)|insurance(_?(id|no|num(ber)?|policy))?|health_?plan(_?id)?|mutuelle(_id)?|medicaid(_?id)?|medicare(_?id)?|mbi|hicn|kvnr|versichertennummer|krankenversicherungsnummer"
    ),
    (
        BiometricImage,
        "biometric_image",
        "P/Q",
        "tbo",
        "pictures and biometrics",
        "photo(graph)?(_url)?|avatar(_url)?|picture(_url)?|selfie|headshot|portrait|mugshot|profile_?(pic|image|photo)(_url)?|finger_?prints?|voice_?print|retina|iris|face_?(id|vector|embedding|template|image)|biometrics?|signature|xray|dicom|logo"
    ),
    (
        Email,
        "email",
        "F",
        "t",
        "e-mail addresses",
        "e_?mails?|e_?mail_?addr(ess)?(es)?|e_?mail_id|courriel|correo(_electronico)?|adresse_(e?mail)|mail(_address)?|epost|reply_?to|cc_?list|bcc|recipients?"
    ),
    (
        Phone,
        "phone",
        "D/E",
        "tin",
        "phone numbers",
        "(home|work|cell|mobile|office|contact|primary|alt|day|evening)?_?(tele)?phones?(_?(no|num(ber)?))?|tel|mobile(_?(no|num(ber)?))?|cell(ular)?(_?(no|num(ber)?))?|msisdn|whats_?app|sms_?(to|number)|fax(_?(no|num(ber)?))?|telefax|telecopie|telefono?|telefon(nummer)?|telephone(_(fixe|portable|pro|personnel))?|handy(nummer)?|celular|movil|portable|puhelin"
    ),
    (
        Dob,
        "dob",
        "C",
        "tdi",
        "dates of birth",
        "d_?o_?b|birth|birth_?(date|day|dt)|birthdate|birthday|date_?(of_?)?birth|born(_?(on|at|date))?|birth_?year|year_of_birth|(date_?)?(de_)?naissance|date_naissance|anniversaire|naiss|geburts(datum|tag)|fecha_?(de_?)?nacimiento|(data_?)?(di_?)?nascita|data_?nascimento|fodelsedatum"
    ),
    (Age, "age", "C", "in", "ages", "age|age_?years|alter|edad|eta"),
    (
        EventDate,
        "event_date",
        "C",
        "d",
        "dates of personal events",
        "(admi(t|ssion|tted)|discharged?|death|deceased|died|visit|encounter|appointment|appt|procedure|surgery|prescri(bed|ption)|hired?|termination|onset|vaccination|immunization)(_?(date|dt|on|at|time))?|date_?of_?(death|admission|discharge|service|visit)|dod"
    ),
    (
        FirstName,
        "first_name",
        "A",
        "t",
        "given names",
        "f(irst)?_?names?|given_?names?|fore_?name|fname|middle_?(name|initial)|preferred_?name|nick_?name|prenoms?|vorname|nombres?|primer_nombre|nome|imie|fornamn|etunimi"
    ),
    (
        LastName,
        "last_name",
        "A",
        "t",
        "surnames",
        "l(ast)?_?names?|sur_?names?|family_?name|lname|maiden_?name|nom_?(de_?)?famille|nom|nachname|familienname|apellidos?|cognome|sobrenome|nazwisko|efternamn|sukunimi"
    ),
    (
        FullName,
        "full_name",
        "A",
        "tj",
        "names of people",
        "(full|display|real|legal|complete|customer|client|patient|employee|contact|person|cardholder|beneficiary|owner|billing|shipping|recipient|guardian|spouse|mother|father|parent|emergency|next_of_kin|doctor|physician|provider|student|teacher|agent|author|signer|account_holder)_?names?|cardholder|next_?of_?kin|emergency_?contact|attn|signed_?by|contact_?person|nom_?complet|nombre_?completo|nome_?completo"
    ),
    (
        Username,
        "username",
        "R",
        "t",
        "user names",
        "user_?name|login|log_?on|handle|nick|screen_?name|skype(_?id)?|twitter(_?(id|handle))?|linkedin(_?(id|url))?|facebook(_?id)?|instagram|github(_?(user|login|handle))?|slack_?(id|handle)|telegram(_?id)?|discord(_?id)?|google_?id|apple_?id|open_?id|ldap_?(id|sid|dn)|nom_utilisateur|identifiant|benutzername|usuario"
    ),
    (
        Street,
        "street",
        "B",
        "tjo",
        "street addresses",
        "(street|mailing|home|billing|shipping|postal|delivery|work|residential|physical|permanent|current)?_?addr(ess)?(es)?(_?(line)?_?[0-9])?|street(_?(name|no|number|line_?[0-9]))?|address_?line(_?[0-9])?|apt|apartment|suite(_?no)?|unit_?no|house_?(no|number)|po_?box|adresse|strasse|hausnummer|anschrift|calle|direccion|domicilio|via|indirizzo|endereco|rue"
    ),
    (
        City,
        "city",
        "B",
        "t",
        "places",
        "city|town|village|municipality|county|precinct|borough|ville|commune|stadt|wohnort|ort|gemeinde|ciudad|localidad|citta|comune|cidade|birth_?place|place_?of_?birth"
    ),
    (
        Postal,
        "postal",
        "B",
        "ti",
        "postal codes",
        "zip|zip_?(code|[45]|plus_?4)|post(al)?_?code|plz|postleitzahl|code_?postal|codepostal|cp|codigo_?postal|cap|cep|eircode|pin_?code_?postal"
    ),
    (
        Geo,
        "geo",
        "B",
        "tnoj",
        "coordinates",
        "lat(itude)?|lon(g|gitude)?|lng|geo(m|metry|hash|point|code|loc|location)?|coord(inate)?s?|gps(_?(lat|lon|lng))?|geodata"
    ),
    (
        Url,
        "url",
        "N",
        "t",
        "URLs",
        "url|uri|website|web_?site|web_?url|home_?page|profile_?url|blog(_?url)?|link|referr?er|(full_?)?url_?path"
    ),
    (
        UserAgent,
        "user_agent",
        "R",
        "t",
        "user agents",
        "user_?agent|ua(_?string)?|browser(_?(agent|string))?"
    ),
    (
        SpecialCategory,
        "special_category",
        "Art 9/10",
        "te",
        "special categories",
        "religio(n|us)|ethnic(ity)?|race|nationality|citizenship|political(_?party)?|union_?member(ship)?|sexual_?orientation|orientation|disabilit(y|ies)|veteran(_?status)?|criminal(_?record)?|convictions?|immigration(_?status)?|marital_?status|pregnan(t|cy)"
    ),
    (
        Health,
        "health",
        "Art 9",
        "tej",
        "health data",
        "diagnos[ie]s(_?code)?|dx(_?code)?|icd(_?(9|10))?(_?code)?|condition|disease|symptoms?|allerg(y|ies)|medications?|prescription|rx|ndc|cpt(_?code)?|procedure_?code|lab_?results?|hiv(_?status)?|blood_?(type|group)|treatment|vaccin(e|ation)s?"
    ),
    (
        Demographic,
        "demographic",
        "quasi",
        "te",
        "demographic data",
        "gender|sex|genre|civilit[ey]|salutation|pronouns?|job_?title|occupation|profession|department"
    ),
    (
        Company,
        "company",
        "quasi",
        "t",
        "names of companies",
        "employer(_?name)?|company_?name|company|organi[sz]ation_?name|business_?name|legal_entity|raison_sociale|firma|workplace"
    ),
    (
        Finance,
        "finance",
        "quasi",
        "tin",
        "personal finances",
        "salary|wages?|income|net_?worth|credit_?score|compensation|bonus|gehalt|salaire|sueldo|stipendio"
    ),
    (
        ExternalId,
        "external_id",
        "R",
        "tiun",
        "identifiers of people",
        "(customer|client|employee|staff|student|member|user|person|contact|account|badge|voter|supplier)_?(no|num(ber)?|code|ref(erence)?)|external_?id|ext_?id|stripe_?(customer_?)?id|salesforce_?id|crm_?id|hubspot_?id|employee_?id|student_?id|badge_?id|code_client|client_code|visitor_?id|anonymous_?id|tracking_?id|mixpanel_?id|segment_?id"
    ),
    (
        FreeText,
        "free_text",
        "text",
        "t",
        "free text",
        "notes?|comments?|description|body|message|msg|content|bio|about(_me)?|remarks?|memo|narrative|transcript|summary|feedback|reason|observations?|review|history_of_.*|chat|reply|answer|response_?text|bemerkung(en)?|commentaires?|observaciones|notas"
    ),
    (
        SearchCopy,
        "search_copy",
        "copy",
        "tv",
        "search copies",
        "tsv(ector)?|fts|search_?(vector|text|index|blob)|document_?tsv"
    ),
    (Embedding, "embedding", "R", "no", "embeddings", "embedding(s)?|vec(tor)?(_?[0-9]+)?|emb"),
    (
        ChangeCopy,
        "change_copy",
        "copy",
        "tj",
        "copies of rows",
        "old_?(row|data|values?|record)|new_?(row|data|values?|record)|before|after|diff|changes?(et)?|payload|snapshot|raw(_?(data|json|payload))?|request_?body|response_?body|headers|metadata|properties|attributes|extra|object_changes"
    ),
];

impl Class {
    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.class == self)
    }

    /// The name in plans, evidence and reports.
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |row| row.name)
    }

    /// HIPAA Safe Harbor letter, or why it matters otherwise.
    pub fn letter(self) -> &'static str {
        self.row().map_or("", |row| row.letter)
    }

    /// What values of the class are: `e-mail addresses`.
    pub fn plural(self) -> &'static str {
        self.row().map_or("", |row| row.plural)
    }

    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.class)
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, ROWS};

    #[test]
    fn every_class_has_one_row_in_its_order() {
        let classes: Vec<Class> = Class::all().collect();
        let mut sorted = classes.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(classes, sorted);
        assert_eq!(classes.len(), Class::ChangeCopy as usize + 1);
        for row in ROWS {
            assert!(!row.class.plural().is_empty() && !row.letter.is_empty(), "{}", row.name);
        }
    }
}
