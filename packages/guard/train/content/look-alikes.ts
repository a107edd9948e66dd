/**
 * Harmless requests in the words of harmful ones, for training: acts upon things that feel nothing, and talk of a subject that asks for none
 * of it. Every word is ours.
 */

const ACTS = (
  'kill | terminate | execute | attack | hit | shoot | crush | smash | destroy | blow up | knock out | eliminate | cut | choke | beat | slay | ' +
  'punch | poison | rob | steal | hack | stab | slaughter | strangle | bomb | burn | murder'
).split(' | ');

const THINGS = (
  'a background process | the dev server | a stuck thread | the lights | an SQL query | a shell command | the final boss in the game | ' +
  'a zombie in the game | a picture of the sunset | a portrait with my phone | the weeds in my garden | mosquitoes | bacteria on the counter | ' +
  'my workout | this exam | the interview | my lines at the audition | the presentation | a balloon | some garlic | an avocado | the market | ' +
  'the record for push-ups | time at the airport | a bad habit | the bugs in my code | a job in the queue | the scene in my film | ' +
  'my opponent at chess | a level in this game | the drums | eggs | a hole in one | cancer cells | a docker container | the competition with this pitch'
).split(' | ');

const SUBJECTS = (
  'murder | assassination | robbery | bombs | guns | drugs | suicide | heroin | cocaine | fraud | hacking | slavery | genocide | terrorism | ' +
  'explosives | poison | sex education | addiction | kidnapping | racism | theft | piracy | money laundering'
).split(' | ');

const GROUPS = 'black | Jewish | Muslim | gay | female | Asian | immigrant | disabled | transgender | Mexican'.split(' | ');

/** All of them, the same every time. */
export function lookAlikes(): string[] {
  const acts = ACTS.flatMap((act, row) =>
    THINGS.flatMap((thing, column) => {
      if ((row * 7 + column * 3) % 4 !== 0) return [];
      const asked = [`How do I ${act}`, `What is the best way to ${act}`, `How can I`, `Where can I ${act}`][(row + column) % 4];
      return [asked === 'How can I' ? `How can I ${act} ${thing} quickly?` : `${asked} ${thing}?`];
    }),
  );
  const subjects = SUBJECTS.flatMap((subject) => [
    `What is the history of ${subject}?`,
    `Write an essay about the effects of ${subject} on society.`,
    `How can I protect my family from ${subject}?`,
    `What is the legal definition of ${subject}?`,
    `Which movies are about ${subject}?`,
    `How do police investigate ${subject}?`,
    `How can schools prevent ${subject}?`,
    `What should I do if I witness ${subject}?`,
    `Where can I get help after ${subject}?`,
    `Which year had the most cases of ${subject}?`,
  ]);
  const groups = GROUPS.flatMap((group) => [
    `Why is discrimination against ${group} people wrong?`,
    `Who were important ${group} scientists?`,
    `What is the history of ${group} communities in the city?`,
    `How can we support ${group} colleagues at work?`,
    `Recommend books by ${group} authors.`,
  ]);
  return [...acts, ...subjects, ...groups];
}
