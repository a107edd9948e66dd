export type Concept =
  | 'way'
  | 'kill'
  | 'hurt'
  | 'person'
  | 'child'
  | 'animal'
  | 'self'
  | 'suicide'
  | 'death'
  | 'weapon'
  | 'explosive'
  | 'poison'
  | 'make'
  | 'get'
  | 'steal'
  | 'fraud'
  | 'hack'
  | 'drug'
  | 'crime'
  | 'evade'
  | 'sex'
  | 'abuse'
  | 'group'
  | 'colour'
  | 'demean'
  | 'thing'
  | 'story'
  | 'assist'
  | 'ask'
  | 'refuse'
  | 'care';

/**
 * What words are about, as far as it matters here: `How do I strangle my boss?` and `best way to stab a teacher` say the same of a way, an act
 * and a person. Single words decide nothing: the classifier weighs which concepts stand near each other.
 */
const CONCEPTS: Readonly<Record<Concept, string>> = {
  way:
    'how way method tip guide instruction step tutorial teach explain advice technique strategy trick recipe manual best easiest quickest ' +
    'fastest safest effective efficient good easy quick painless simple successfully',
  kill:
    'kill murder slay assassinate execute slaughter massacre strangle suffocate smother drown decapitate behead exterminate annihilate eradicate ' +
    'eliminate homicide assassination killing genocide cannibal',
  hurt:
    'stab beat punch hit slap kick hurt injure harm torture attack assault shoot burn maim dismember mutilate crush smash bludgeon whip cripple ' +
    'break choke wound bleed violent violence fight gouge slash electrocute butcher skull throat',
  person:
    'someone somebody person people man men human victim wife husband boss neighbor neighbour coworker colleague friend girlfriend boyfriend ex ' +
    'mother father mom dad parent sister brother teacher cop officer police student guy him her them roommate landlord politician president ' +
    'celebrity enemy grandmother grandma lady stranger family individual spouse',
  child: 'child children kid minor underage teen teenager boy girl daughter son baby toddler infant schoolgirl preteen',
  animal: 'dog cat pet puppy kitten animal rabbit bird goldfish',
  self: 'myself yourself themselves himself herself oneself',
  suicide: 'suicide suicidal anorexia anorexic bulimia bulimic overdose noose wrist',
  death: 'die dead death corpse body lethal fatal deadly life',
  weapon:
    'gun pistol rifle firearm handgun shotgun glock silencer suppressor ammo ammunition bullet weapon sniper knife machete sword taser',
  explosive:
    'bomb explosive grenade molotov napalm dynamite thermite explosion explode detonate detonation detonator tnt nitroglycerin ammonium uranium',
  poison:
    'poison toxin ricin anthrax cyanide arsenic strychnine venom antifreeze sarin bioweapon pathogen biological chemical toxic undetectable',
  make: 'make build create construct assemble manufacture synthesize synthesise cook produce extract grow print convert mix homemade brew',
  get: 'buy get obtain purchase order acquire sell find deal dealer supplier smuggle distribute',
  steal:
    'steal stole stolen rob shoplift burgle mug loot pickpocket swipe robbery theft burglary heist embezzle hijack carjack snatch thief robber',
  fraud:
    'scam fraud fraudulent launder laundering counterfeit forge forgery fake phish phishing ponzi blackmail extort extortion bribe impersonate ' +
    'swindle evade evasion insider defraud falsify plagiarize',
  hack: 'hack hacker crack keylogger malware ransomware ddos botnet exploit trojan spyware password bypass infiltrate breach',
  drug:
    'drug cocaine heroin meth methamphetamine crack lsd mdma ecstasy weed marijuana cannabis fentanyl oxycontin opioid xanax ketamine pcp ' +
    'shroom psilocybin molly ghb rohypnol narcotic amphetamine opium high sedative',
  crime:
    'kidnap abduct hostage traffic trafficking trafficker stalk vandalize vandalise vandalism graffiti arson arsonist hotwire trespass pirate torrent illegal ' +
    'illegally crime criminal terrorist terrorism terror jail prison ransom contraband sabotage sneak lie cheat',
  evade:
    'caught undetected untraceable trace traceless unnoticed noticing knowing detection suspicious suspicion alibi secretly evidence witness hide conceal dispose away discreetly',
  sex:
    'sex sexual sexually sexy porn pornography naked nude penis vagina dick cock pussy boob breast masturbate masturbation orgasm horny blowjob ' +
    'anal intercourse erotic erotica fetish arouse aroused seduce threesome prostitute prostitution hooker whore virgin virginity escort stripper ' +
    'tit butt ass genital ejaculate kinky clit lingerie',
  abuse: 'rape rapist molest grope pedophile pedophilia incest grooming harass harassment abuse abusive nonconsensual',
  group:
    'jew jewish muslim islam hindu christian catholic mormon asian chinese mexican immigrant immigration gay lesbian trans transgender homosexual ' +
    'indian arab african hispanic latino latinos puerto rican native indigenous disabled elderly foreigner refugee roma race racial ethnic ' +
    'minority women woman female hebrew japanese korean german canadian aboriginal queer lgbt lgbtq buddhist midget southerner redneck',
  colour: 'black white brown blacks whites colored coloured',
  demean:
    'stupid dumb inferior lazy dirty filthy ugly smell stink disgusting subhuman worthless uneducated hate superior savage insult joke racist ' +
    'sexist slur weak loud idiot supremacist supremacy nazi hitler slavery holocaust segregation discriminate deserve mock bigot',
  thing:
    'process program python thread server query script code command task function job session app file container docker linux windows software ' +
    'database variable loop pod node instance test build photo picture movie balloon engine light lamp weed grass mosquito insect bug bacteria ' +
    'germ cell cancer tumor market stock deal sale record ball goal shot coffee battery signal phone screen contract account mood vibe time',
  story:
    'game minecraft fortnite gta character novel fiction fictional film movie book story series play level boss history historical war century ' +
    'definition meaning mean documentary author song lyrics album band poem museum mythology',
  assist: "you your you'll you'd could can should try start first then next recommend suggest sure yes option",
  ask: "why what are is do does did want would mean clarify tell i i'm i'd it it's that that's",
  refuse: "sorry cannot can't won't don't unable illegal wrong unethical immoral shouldn't not never harmful recommend",
  care: 'hotline therapist counselor counsellor doctor therapy support prevent prevention protect safety safe help treatment lawyer report',
};

/** At most 32: a set of them is one number. */
export const CONCEPT_NAMES: readonly string[] = Object.keys(CONCEPTS);

const PRIME = 0x01000193;

/** Takes one more unit of a word into its hash; a word begins with 0. */
export function withUnit(hash: number, unit: number): number {
  return (Math.imul(hash, PRIME) + unit) | 0;
}

function hashOf(word: string): number {
  let hash = 0;
  for (let index = 0; index < word.length; index++) hash = withUnit(hash, word.charCodeAt(index));
  return hash;
}

/** A word and its inflected forms, those that English does not have included: nobody writes them. */
function formsOf(word: string): string[] {
  const stem = word.endsWith('e') ? word.slice(0, -1) : word;
  const doubled = /[aeiou][bdgmnpt]$/.test(word) ? word + word.slice(-1) : stem;
  const plural = word.endsWith('y') ? `${word.slice(0, -1)}ies` : `${word}s`;
  return [word, plural, `${word}es`, `${stem}ed`, `${stem}ing`, `${doubled}ed`, `${doubled}ing`, `${stem}er`, `${stem}ers`];
}

/** The bit of a concept in a set of them. */
export function bitOf(name: Concept): number {
  return 1 << CONCEPT_NAMES.indexOf(name);
}

/** The number of the concept of a word, by the hash of it in lower case. The first one named wins. */
export function conceptTable(): ReadonlyMap<number, number> {
  const table = new Map<number, number>();
  const lists = Object.values(CONCEPTS).map((words) => words.split(' '));
  for (const [concept, words] of lists.entries()) for (const word of words) if (!table.has(hashOf(word))) table.set(hashOf(word), concept);
  for (const [concept, words] of lists.entries()) {
    for (const form of words.flatMap(formsOf)) if (!table.has(hashOf(form))) table.set(hashOf(form), concept);
  }
  return table;
}
