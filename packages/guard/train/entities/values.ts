import { allLocales, base, en, Faker, FakerError } from '@faker-js/faker';
import type { EntityLabel } from '../../src/entities/tagger.ts';
import type { Random } from '../random.ts';

/** A value for a placeholder of a template, in parts where they are of different classes. */
export type Part = readonly [text: string, label: EntityLabel];

/** Where people, places and firms come from, the more often the more often it is listed. Latin script: the tokens of others say too little. */
const LOCALES = [
  ...Array.from({ length: 10 }, () => 'en_US' as const),
  ...(['en_GB', 'en_GB', 'en_GB', 'en_CA', 'en_AU', 'en_IE', 'en_IN', 'en_ZA', 'en_NG'] as const),
  ...(['de', 'de', 'de_AT', 'de_CH', 'fr', 'fr', 'fr_CH', 'es', 'es', 'es_MX', 'it', 'it', 'nl', 'nl', 'nl_BE', 'pl', 'pl'] as const),
  ...([
    'pt_BR',
    'pt_PT',
    'sv',
    'sv',
    'da',
    'da',
    'nb_NO',
    'nb_NO',
    'fi',
    'fi',
    'cs_CZ',
    'cs_CZ',
    'hu',
    'hu',
    'hr',
    'hr',
    'sk',
    'ro',
    'tr',
  ] as const),
  ...(['lv', 'id_ID', 'vi', 'sr_RS_latin', 'af_ZA', 'az'] as const),
];

const STREET_KINDS = [
  'Street',
  'Road',
  'Avenue',
  'Lane',
  'Drive',
  'St',
  'Rd',
  'Ave.',
  'Blvd',
  'Court',
  'Way',
  'Place',
  'Close',
  'Crescent',
];
const SUITES = ['Apt.', 'Suite', 'Flat', 'Unit', 'Floor', 'Apt'];
const FIRMS = [
  'Ltd',
  'Ltd.',
  'Inc',
  'Inc.',
  'LLC',
  'GmbH',
  'AG',
  'S.A.',
  'plc',
  'Corp',
  'Corp.',
  'Group',
  'Bank',
  'Partners',
  'Systems',
  'AB',
  'BV',
  'Holdings',
  'Solutions',
  'Records',
];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const PREFIXES = ['Mr.', 'Mrs.', 'Ms.', 'Dr.', 'Mr', 'Mrs', 'Ms', 'Dr', 'Miss', 'Sir', 'Prof.', 'Professor', 'Madam', 'Mx.'];
const JOBS = [
  'engineer',
  'Accountant',
  'Vascular technologist',
  'nurse',
  'Sales manager',
  'teacher',
  'Plumber',
  'data analyst',
  'Chief executive',
];

/** Word lists that may be used for training; the lists of names of the data are not among them (share-alike). */
export interface Lists {
  readonly organisations: readonly string[];
  readonly nationalities: readonly { readonly adjective: string; readonly plural: string; readonly woman: string }[];
  readonly religions: readonly string[];
}

/** Makes values for placeholders, the same ones for the same seed. */
export class Values {
  readonly #random: Random;
  readonly #lists: Lists;
  readonly #fakers: readonly Faker[];

  constructor(random: Random, lists: Lists, seed: number) {
    this.#random = random;
    this.#lists = lists;
    this.#fakers = LOCALES.map((name, index) => {
      const faker = new Faker({ locale: [allLocales[name], en, base], seed: seed + index });
      faker.setDefaultRefDate('2026-01-01T00:00:00Z');
      return faker;
    });
  }

  /** Null for a placeholder that is not known. */
  of(placeholder: string): readonly Part[] | null {
    const random = this.#random;
    const faker = random.pick(this.#fakers);
    const one = (text: string, label: EntityLabel): readonly Part[] => [[text, label]];
    const either = <T>(share: number, a: () => T, b: () => T): T => (random.next() < share ? a() : b());
    switch (placeholder) {
      case 'person':
      case 'name':
      case 'name_male':
      case 'name_female':
        return one(this.#name(faker), 'person');
      case 'first_name':
      case 'first_name_male':
      case 'first_name_female':
      case 'first_name_nonbinary':
        return one(faker.person.firstName(), 'person');
      case 'last_name':
      case 'last_name_male':
      case 'last_name_female':
        return one(faker.person.lastName(), 'person');
      case 'prefix':
      case 'prefix_male':
      case 'prefix_female':
        return one(random.pick(PREFIXES), 'title');
      case 'city':
        return one(this.#city(faker), 'location');
      case 'country':
        return one(
          either(
            0.8,
            () => this.#fakers[0]?.location.country() ?? '',
            () => this.#local(faker, (own) => own.location.country()),
          ),
          'location',
        );
      case 'state':
      case 'state_abbr':
        return one(
          this.#local(faker, (own) => own.location.state({ abbreviated: placeholder === 'state_abbr' || random.next() < 0.3 })),
          'location',
        );
      case 'street_name':
        return one(this.#street(faker), 'address');
      case 'building_number':
        return one(this.#number(), 'address');
      case 'secondary_address':
        return one(this.#suite(), 'address');
      case 'zipcode':
      case 'postcode':
        return one(
          this.#local(faker, (own) => own.location.zipCode()),
          'postal-code',
        );
      case 'address':
        return one(this.#address(faker), 'address');
      case 'organization':
      case 'company':
        return one(this.#organisation(faker), 'organisation');
      case 'nationality':
        return one(capital(random.pick(this.#lists.nationalities).adjective), 'nationality');
      case 'nation_woman':
        return one(capital(random.pick(this.#lists.nationalities).woman), 'nationality');
      case 'nation_plural':
        return one(capital(random.pick(this.#lists.nationalities).plural), 'nationality');
      case 'religion':
        return one(random.pick(this.#lists.religions), 'nationality');
      case 'age':
        return one(String(1 + random.below(99)), 'age');
      case 'year':
        return one(String(1920 + random.below(110)), 'date');
      case 'day_of_week':
        return one(random.pick(DAYS), 'date');
      case 'date':
      case 'date_time':
      case 'date_of_birth':
        return one(this.#date(), 'date');
      case 'job':
        return one(random.pick(JOBS), 'none');
      case 'url':
        return one(
          either(
            0.5,
            () => faker.internet.url(),
            () => faker.internet.domainName(),
          ),
          'none',
        );
      case 'email':
        return one(faker.internet.email(), 'none');
      case 'phone_number':
        return one(
          this.#local(faker, (own) => own.phone.number()),
          'none',
        );
      case 'credit_card_number':
        return one(faker.finance.creditCardNumber(), 'none');
      case 'iban':
        return one(faker.finance.iban(), 'none');
      case 'ip_address':
        return one(faker.internet.ip(), 'none');
      case 'ssn':
        return one(`${this.#digits(3)}-${this.#digits(2)}-${this.#digits(4)}`, 'none');
      case 'us_driver_license':
        return one(`${faker.string.alpha({ length: 1, casing: 'upper' })}${this.#digits(7)}`, 'none');
      default:
        return null;
    }
  }

  /** Some lists are empty for a country where it has nothing of the kind. */
  #local(faker: Faker, make: (faker: Faker) => string): string {
    try {
      return make(faker);
    } catch (error) {
      const [american] = this.#fakers;
      if (!(error instanceof FakerError) || american === undefined) throw error;
      return make(american);
    }
  }

  #digits(count: number): string {
    return Array.from({ length: count }, () => this.#random.below(10)).join('');
  }

  #name(faker: Faker): string {
    const random = this.#random;
    const first = faker.person.firstName();
    const last = faker.person.lastName();
    const dice = random.next();
    if (dice < 0.72) return `${first} ${last}`;
    if (dice < 0.8) return `${first} ${String.fromCharCode(65 + random.below(26))}. ${last}`;
    if (dice < 0.85) return `${first} ${faker.person.firstName()} ${last}`;
    if (dice < 0.9) return `${first} ${last}-${faker.person.lastName()}`;
    if (dice < 0.94) return `${last}, ${first}`;
    if (dice < 0.97) return first;
    return `${first} ${last}${random.pick([' Jr.', ' III', ' Sr.'])}`;
  }

  #city(faker: Faker): string {
    const random = this.#random;
    const city = this.#local(faker, (own) => own.location.city());
    const dice = random.next();
    if (dice < 0.86) return city;
    if (dice < 0.9)
      return `${random.pick(['New', 'Port', 'San', 'Saint', 'St.', 'Bad', 'Villa', 'Le', 'La', 'Nova'])} ${faker.person.lastName()}`;
    if (dice < 0.94)
      return `${faker.person.lastName()}${random.pick(['ville', 'ton', 'burg', 'heim', 'dorf', 'ham', 'by', 'stad', 'vik', 'ów', 'ice', 'ford'])}`;
    return `${city} ${random.pick(['sur Mer', 'am Main', 'u Brna', 'de Baixo', 'Beach', 'Heights', 'Falls', 'upon Avon'])}`;
  }

  #street(faker: Faker): string {
    const random = this.#random;
    const street = this.#local(faker, (own) => own.location.street());
    const dice = random.next();
    if (dice < 0.5) return street;
    if (dice < 0.75) return `${faker.person.lastName()} ${random.pick(STREET_KINDS)}`;
    if (dice < 0.9) return `${street} ${1 + random.below(200)}`;
    return `${random.pick(['Rua', 'Via', 'Calle', 'Rue de', 'Avenida', 'Plaza', 'Ul.', 'ul.', 'Hoofdstraat', 'Chemin', 'P.O. Box'])} ${random.next() < 0.15 ? this.#digits(3) : faker.person.lastName()}${random.next() < 0.5 ? ` ${1 + random.below(150)}` : ''}`;
  }

  #number(): string {
    const random = this.#random;
    const number = String(1 + random.below(random.next() < 0.7 ? 200 : 99_999));
    return random.next() < 0.06 ? `${number}${random.pick(['a', 'B', '/2', '-4'])}` : number;
  }

  #suite(): string {
    return `${this.#random.pick(SUITES)} ${1 + this.#random.below(999)}`;
  }

  /** In one line or several, with and without its parts, as people and forms write it. */
  #address(faker: Faker): string {
    const random = this.#random;
    const street = this.#street(faker);
    const dice = random.next();
    if (dice < 0.06) return `the corner of ${street} and ${this.#street(faker)}`;
    if (dice < 0.1) return `${street} and ${this.#street(faker)}`;
    const line = random.next() < 0.8 ? `${this.#number()} ${street}` : `${street} ${this.#number()}`;
    if (dice < 0.25) return line;
    const gap = random.pick(['\n', ', ', '\n ', ', ', ' ', '\n  ']);
    const parts = [line];
    if (random.next() < 0.45) parts.push(this.#suite());
    const state =
      random.next() < 0.35
        ? `${random.pick([', ', ' ', '\n, ', '\n'])}${this.#local(faker, (own) => own.location.state({ abbreviated: random.next() < 0.8 }))}`
        : '';
    const zip = this.#local(faker, (own) => own.location.zipCode());
    const city = this.#city(faker);
    parts.push(random.next() < 0.25 ? `${zip} ${city}` : `${city}${state}`);
    const country = this.#fakers[0]?.location.country() ?? '';
    const end = random.next();
    if (end < 0.45) parts.push(random.next() < 0.6 ? `${country} ${zip}` : country);
    else if (end < 0.75) parts[parts.length - 1] += ` ${zip}`;
    return parts.join(gap);
  }

  #organisation(faker: Faker): string {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.55) return random.pick(this.#lists.organisations);
    if (dice < 0.75) return this.#local(faker, (own) => own.company.name());
    if (dice < 0.9)
      return `${capital(this.#local(faker, (own) => own.word.adjective()))} ${capital(this.#local(faker, (own) => own.word.noun()))}`;
    return `${faker.person.lastName()} ${random.pick(FIRMS)}`;
  }

  #date(): string {
    const random = this.#random;
    const day = 1 + random.below(28);
    const month = random.below(12);
    const year = 1925 + random.below(105);
    const name = MONTHS[month] ?? '';
    const short = name.slice(0, 3);
    const two = (value: number): string => String(value).padStart(2, '0');
    return random.pick([
      `${month + 1}/${day}/${year}`,
      `${month + 1}/${day}/${year}`,
      `${two(day)}/${two(month + 1)}/${year}`,
      `${year}-${two(month + 1)}-${two(day)}`,
      `${day}.${month + 1}.${year}`,
      `${day} ${name} ${year}`,
      `${name} ${day}, ${year}`,
      `${short} ${day} ${year}`,
      `${name} ${year}`,
      `${day}th of ${name}`,
      `${name} ${day}`,
      `${random.pick(DAYS)}, ${name} ${day}`,
      `${month + 1}/${day}/${two(year % 100)}`,
    ]);
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
