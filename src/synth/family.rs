//! True families: who the children are and what happened to them, before any agency writes anything down.
//!
//! May see: tables, places, ids. Must not see: agencies and their errors.

use super::day::Day;
use super::ids::{self, Shuffle};
use super::places::{Home, Region};
use super::rng::{Stream, key};
use super::tables::{Alternative, ENGLISH, Origin, Tables};
use super::{Config, Person, Sex};

/// Children a family at most; twins count as two.
pub(super) const CHILDREN_MAX: u32 = 5;
/// Families by number of births, 1 to 5, per mille.
const BIRTHS: [u32; 5] = [430, 400, 135, 25, 10];
/// Births that are twins: about 3 % of children are twins.
const TWIN_BIRTHS_PPM: u32 = 16_000;
const ADOPTED_PPM: u32 = 5_500;
const DAYS_OF_CHILDHOOD: u32 = 6574;

/// What has to be known of a family before it is built, so that ordinals can be handed out in order.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Children born to the family in one birth each, or two.
    twins: [bool; CHILDREN_MAX as usize],
    births: u32,
    adopted: [bool; CHILDREN_MAX as usize],
    /// Ordinal of the family.
    pub(super) family: u64,
    /// Ordinal of the first child.
    pub(super) first_child: u64,
    /// Ordinal of the first identity (an adopted child has two: two NHS numbers, two UPNs).
    pub(super) first_identity: u64,
}

impl Plan {
    pub(super) fn children(&self) -> u32 {
        self.births + self.twins.iter().map(|twin| u32::from(*twin)).sum::<u32>()
    }

    pub(super) fn identities(&self) -> u32 {
        self.children() + self.adopted.iter().map(|adopted| u32::from(*adopted)).sum::<u32>()
    }
}

/// One child with what came before.
pub(super) struct Child {
    pub(super) person: Person,
    /// Ordinal of the child: record ids come from it.
    pub(super) ordinal: u64,
    /// The identity before adoption.
    pub(super) before_adoption: Option<Identity>,
    /// The family name before a change (a parent married or parted).
    pub(super) former_family: Option<String>,
    /// The home before a move.
    pub(super) former_home: Option<Home>,
    /// A foster home.
    pub(super) care_home: Option<Home>,
    /// Known to social care's families: coverage comes in families.
    pub(super) family_in_need: bool,
}

/// What an adoption replaces.
pub(super) struct Identity {
    pub(super) family: String,
    pub(super) home: Home,
    pub(super) nhs_number: Option<String>,
    pub(super) upn: String,
}

/// Everything that families of one configuration share.
pub(super) struct World {
    tables: &'static Tables,
    pub(super) region: Region,
    today: Day,
    plan_key: [u8; 32],
    family_key: [u8; 32],
    nhs: Shuffle,
    upn: Shuffle,
    ids: Shuffle,
    family_ids: Shuffle,
    authority: u64,
}

impl World {
    pub(super) fn new(config: &Config) -> Self {
        let seed = config.seed.as_str();
        let numbers = key("numbers", seed, "");
        let mut stream = Stream::new(&key("region", seed, ""), 0);
        let children = u64::from(config.size.children_estimate());
        let postcodes = children.div_ceil(u64::from(config.children_per_postcode.max(1))).max(20);
        let region = Region::new(&mut stream, u32::try_from(postcodes).unwrap_or(u32::MAX));
        Self {
            tables: Tables::shared(),
            region,
            today: config.today,
            plan_key: key("plan", seed, ""),
            family_key: key("family", seed, ""),
            nhs: Shuffle::new(&numbers, ids::NHS_NUMBERS),
            upn: Shuffle::new(&numbers, ids::UPNS),
            ids: Shuffle::new(&numbers, 1 << 40),
            family_ids: Shuffle::new(&key("families", seed, ""), 1 << 40),
            authority: u64::from(stream.between(201, 900)),
        }
    }

    /// The plan of family number `family`; ordinals are filled in by the caller.
    pub(super) fn plan(&self, family: u64) -> Plan {
        let mut stream = Stream::new(&self.plan_key, family);
        let births = stream.weighted(&BIRTHS) as u32 + 1;
        let mut plan = Plan {
            twins: [false; CHILDREN_MAX as usize],
            births,
            adopted: [false; CHILDREN_MAX as usize],
            family,
            first_child: 0,
            first_identity: 0,
        };
        for birth in 0..births as usize {
            plan.twins[birth] = stream.chance(TWIN_BIRTHS_PPM) && plan.children() < CHILDREN_MAX;
        }
        for child in 0..plan.children() as usize {
            plan.adopted[child] = stream.chance(ADOPTED_PPM);
        }
        plan
    }

    /// The children of a planned family.
    pub(super) fn children(&self, plan: &Plan) -> Vec<Child> {
        let mut stream = Stream::new(&self.family_key, plan.family);
        let kin = Kin::draw(self, &mut stream);
        let mut children: Vec<Child> = Vec::with_capacity(plan.children() as usize);
        let mut identity = plan.first_identity;
        for (birth, born) in self.births(plan, &mut stream).into_iter().enumerate() {
            let family = kin.family_of(birth, &mut stream);
            for second in [false, true].into_iter().take(1 + usize::from(plan.twins[birth])) {
                let twin_of = second.then(|| children.last().map(|child| &child.person)).flatten();
                let mut person = self.person(plan, &kin, twin_of, &children, &mut stream);
                person.twin = plan.twins[birth];
                person.birth = born;
                person.family = gendered(&family, person.sex, &kin);
                let at = children.len();
                person.entity_id = format!("C{:010x}", self.ids.of(plan.first_child + at as u64));
                self.number(&mut person, identity);
                identity += 1;
                let ordinal = plan.first_child + at as u64;
                let mut child = self.life(person, ordinal, &kin, &mut stream);
                if plan.adopted[at] {
                    self.adopt(&mut child, identity, &mut stream);
                    identity += 1;
                }
                children.push(child);
            }
        }
        children
    }

    /// Dates of the births, eldest first: spaced, and all within childhood.
    fn births(&self, plan: &Plan, stream: &mut Stream) -> Vec<Day> {
        let gaps: Vec<u32> = (1..plan.births).map(|_| 330 + stream.below(900) + stream.below(900)).collect();
        let span: u32 = gaps.iter().sum();
        // Wide families are pressed together rather than cut: ten months stay between births.
        let fit = |gap: u32| if span > 6000 { gap * 6000 / span } else { gap };
        let span: u32 = gaps.iter().map(|gap| fit(*gap)).sum();
        let mut days = span + stream.below(DAYS_OF_CHILDHOOD.saturating_sub(span));
        let mut births = vec![self.today.minus(days)];
        for gap in gaps {
            days = days.saturating_sub(fit(gap));
            births.push(self.today.minus(days));
        }
        births
    }

    fn person(
        &self,
        plan: &Plan,
        kin: &Kin,
        twin_of: Option<&Person>,
        siblings: &[Child],
        stream: &mut Stream,
    ) -> Person {
        let sex = match twin_of {
            Some(twin) if stream.chance(650_000) => twin.sex,
            _ if stream.chance(512_000) => Sex::Male,
            _ => Sex::Female,
        };
        let names = kin.given(self.tables, stream);
        let table = &names.given[usize::from(sex == Sex::Male)];
        // Parents like twins' names to go together: Daniel and Danielle, Ella and Emma.
        let like = twin_of.filter(|_| stream.chance(470_000));
        let draw = |stream: &mut Stream| match like {
            Some(twin) => {
                let letters = [1, 1, 2, 3, 4][stream.below(5) as usize];
                table.alike(&twin.given, letters, stream).unwrap_or_else(|| table.draw(stream))
            }
            None => table.draw(stream),
        };
        let mut given = draw(stream);
        // Nobody calls two of their children by forms of one name; nor a twin by the other's middle name or short form.
        let of_twin = |name: &str| {
            twin_of.is_some_and(|twin| {
                let names = std::iter::once(&twin.given).chain(&twin.middle);
                names.into_iter().any(|other| self.tables.too_near_for_twins(name, other, sex == twin.sex))
            })
        };
        let taken = |name: &str| {
            let mut others = siblings.iter().map(|other| &other.person);
            of_twin(name) || others.any(|other| self.tables.forms_of_one(name, &other.given))
        };
        for _ in 0..8 {
            if !taken(given) {
                break;
            }
            given = draw(stream);
        }
        let middle = stream.chance(550_000).then(|| table.draw(stream));
        let middle = middle.filter(|name| *name != given && !of_twin(name));
        let nickname = self.tables.alternative(Alternative::Nickname, given, stream);
        let known_as = nickname.filter(|_| stream.chance(240_000)).map(str::to_owned);
        Person {
            entity_id: String::new(),
            family_id: format!("F{:010x}", self.family_ids.of(plan.family)),
            twin: false,
            origin: kin.origin.name,
            sex,
            given: given.to_owned(),
            middle: middle.map(str::to_owned),
            known_as,
            family: String::new(),
            birth: self.today,
            street: kin.home.street.clone(),
            postcode: kin.home.postcode.clone(),
            nhs_number: None,
            upn: String::new(),
        }
    }

    fn number(&self, person: &mut Person, identity: u64) {
        // Beyond the test range there are no numbers left: those children have none.
        let within = identity < ids::NHS_NUMBERS;
        person.nhs_number = within.then(|| ids::nhs_number(self.nhs.of(identity))).flatten();
        // A number is given in the school year in which a child turns four or five.
        let year = person.birth.year + 4;
        let authority = self.authority + identity / ids::UPNS;
        person.upn = ids::upn(authority, self.upn.of(identity), year);
    }

    fn life(&self, person: Person, ordinal: u64, kin: &Kin, stream: &mut Stream) -> Child {
        let changed = stream.chance(34_000);
        let former_family = changed.then(|| kin.other_name(&person.family, stream));
        let care_home = stream.chance(12_000).then(|| self.region.home(stream));
        Child {
            person,
            ordinal,
            before_adoption: None,
            former_family,
            former_home: kin.former_home.clone(),
            care_home,
            family_in_need: kin.in_need,
        }
    }

    /// Gives the child a new family name, home, NHS number and UPN; the true person is the new one.
    fn adopt(&self, child: &mut Child, identity: u64, stream: &mut Stream) {
        let person = &mut child.person;
        let home = self.region.home(stream);
        let family = self.tables.origins[ENGLISH].family.draw(stream).to_owned();
        let former_home = Home {
            street: std::mem::replace(&mut person.street, home.street),
            postcode: std::mem::replace(&mut person.postcode, home.postcode),
        };
        let before = Identity {
            family: std::mem::replace(&mut person.family, family),
            home: former_home,
            nhs_number: person.nhs_number.take(),
            upn: std::mem::take(&mut person.upn),
        };
        self.number(person, identity);
        child.before_adoption = Some(before);
        child.former_family = None;
        child.former_home = None;
        child.care_home = None;
    }
}

/// What the children of a family share.
struct Kin {
    origin: &'static Origin,
    /// Family names: the first partner's, and a second's in a step-family.
    names: Vec<String>,
    /// The birth from which children bear the second name.
    second_from: usize,
    home: Home,
    former_home: Option<Home>,
    in_need: bool,
    /// Whether daughters bear the feminine form (Kowalska).
    feminine: bool,
}

impl Kin {
    fn draw(world: &World, stream: &mut Stream) -> Self {
        let tables = world.tables;
        let origin = tables.origin(stream);
        // A few parents of other origins bear an English name, and the other way round.
        let mixed = stream.chance(60_000);
        let named = match (origin, mixed) {
            (ENGLISH, true) => tables.origin(stream),
            (_, true) => ENGLISH,
            _ => origin,
        };
        let draw = |stream: &mut Stream| tables.origins[named].family.draw(stream).to_owned();
        let first = if named == ENGLISH && stream.chance(115_000) {
            format!("{}-{}", draw(stream), draw(stream))
        } else {
            draw(stream)
        };
        let step = stream.chance(110_000);
        let second = if step { tables.origins[origin].family.draw(stream).to_owned() } else { first.clone() };
        let second_from = if step { stream.between(1, 2) as usize } else { usize::MAX };
        let home = world.region.home(stream);
        let former_home = stream.chance(500_000).then(|| world.region.home(stream));
        Self {
            origin: &tables.origins[origin],
            names: vec![first, second],
            second_from,
            home,
            former_home,
            in_need: stream.chance(220_000),
            feminine: stream.chance(400_000),
        }
    }

    fn family_of(&self, birth: usize, stream: &mut Stream) -> String {
        // Parents who never married: now and then a child bears the other parent's name alone.
        let other = self.second_from != usize::MAX && stream.chance(80_000);
        let second = (birth >= self.second_from) != other;
        self.names[usize::from(second)].clone()
    }

    /// Where a child's given names come from: mostly the family's own group.
    fn given<'a>(&self, tables: &'a Tables, stream: &mut Stream) -> &'a Origin
    where
        'static: 'a,
    {
        let english = self.origin.name == tables.origins[ENGLISH].name;
        if !english && stream.chance(120_000) {
            &tables.origins[ENGLISH]
        } else if english && stream.chance(25_000) {
            &tables.origins[tables.origin(stream)]
        } else {
            self.origin
        }
    }

    /// The name a child bore before it bore `name`.
    fn other_name(&self, name: &str, stream: &mut Stream) -> String {
        match self.names.iter().find(|other| *other != name) {
            Some(other) => other.clone(),
            None => self.origin.family.draw(stream).to_owned(),
        }
    }
}

fn gendered(family: &str, sex: Sex, kin: &Kin) -> String {
    let polish = family.ends_with("ski") || family.ends_with("cki");
    if kin.feminine && sex == Sex::Female && polish && kin.origin.name == "polish" {
        format!("{}a", &family[..family.len() - 1])
    } else {
        family.to_owned()
    }
}
