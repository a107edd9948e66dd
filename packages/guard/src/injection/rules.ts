import type { PatternRule } from '../detect/pattern-detector.ts';

/** A form of words that tries to take over a model: `certain` where hardly anybody writes it for another reason. */
interface InjectionRule {
  readonly category: 'instruction-override' | 'prompt-extraction' | 'role-token' | 'persona' | 'model-addressed';
  readonly certain: boolean;
  readonly patterns: readonly string[];
}

// The words of a sentence stand one after the other with at most a few others between: what is long is left to the classifier.
const FILLER = '(?:all|any|every|each|of|the|these|those|this|that|and|or|everything|in|is|are|was|were|from)';
const SCOPE = '(?:previous|prior|preceding|above|earlier|foregoing|former|past|your|system|original|initial|existing|aforementioned)';
const ORDERS = '(?:instructions?|prompts?|directives?|guidelines?|rules|commands|programming|restrictions|constraints|orders|directions)';
const SHOW = '(?:reveal|show|print|repeat|output|display|tell|give|write|share|expose|leak|dump|recite|list|spell|return|disclose|send)';
const HIDDEN = '(?:system|initial|original|hidden|secret|internal|developer|confidential|base|underlying)';
const TEXT = '(?:prompts?|instructions?|messages?|directives?|guidelines?|configuration)';

export const INJECTION_RULES: readonly InjectionRule[] = [
  {
    category: 'instruction-override',
    certain: true,
    patterns: [
      `\\b(?:ignore|disregard|forget|override|discard|bypass)\\s+(?:${FILLER}\\s+){0,4}${SCOPE}\\s+(?:(?:${FILLER}|${SCOPE}|safety|security|content)\\s+){0,3}${ORDERS}\\b`,
      `\\b(?:do\\s+not|don't|stop)\\s+(?:follow|obey|following|obeying)\\s+(?:${FILLER}\\s+){0,3}${SCOPE}\\s+${ORDERS}\\b`,
      // German, Dutch, Swedish.
      '\\b(?:ignorier|vergiss|vergesse|missachte|übergeh|ubergeh)\\w{0,3}\\s+(?:\\w+\\s+){0,2}(?:vorherige|bisherige|vorige|obige|frühere|fruhere|vorangegangene|vorangehende|deine|ursprüngliche|ursprungliche)\\w{0,2}\\s+(?:anweisung|regel|instruktion|vorgabe|befehl|aufgabe)\\w{0,3}\\b',
      '\\b(?:negeer|vergeet)\\s+(?:\\w+\\s+){0,2}(?:vorige|eerdere|voorgaande|bovenstaande)\\s+(?:instructies|opdrachten|regels)\\b',
      '\\b(?:ignorera|glöm|glom)\\s+(?:\\w+\\s+){0,2}(?:tidigare|föregående|foregaende|ovanstående)\\s+(?:instruktioner|regler|anvisningar)\\b',
      // French, Spanish, Portuguese, Italian.
      '\\b(?:ignor|oubli)\\w{1,3}\\s+(?:\\w+\\s+){0,2}(?:instructions|consignes|règles|regles|directives)\\s+(?:pr[ée]c[ée]dentes|ant[ée]rieures|ci-dessus|initiales)\\b',
      '\\b(?:ignor|olvid)\\w{1,3}\\s+(?:\\w+\\s+){0,2}(?:instrucciones|reglas|indicaciones|órdenes|ordenes)\\s+(?:anteriores|previas|iniciales|originales)\\b',
      '\\b(?:ignor|esque[çc])\\w{1,3}\\s+(?:\\w+\\s+){0,2}(?:instruções|instrucoes|regras|ordens)\\s+(?:anteriores|prévias|previas|iniciais|acima)\\b',
      '\\b(?:ignor|dimentic)\\w{1,4}\\s+(?:\\w+\\s+){0,2}(?:istruzioni|regole|indicazioni)\\s+(?:precedenti|iniziali|sopra)\\b',
      // Polish, Russian, Turkish.
      '\\b(?:zignoruj|ignoruj|zapomnij)\\s+(?:\\w+\\s+){0,2}(?:poprzedni|wcześniejsz|wczesniejsz)\\w{1,3}\\s+(?:instrukcj|polece|zasad)\\w{0,4}',
      '(?:игнорируй|проигнорируй|забудь|отмени)(?:те)?\\s+(?:\\w+\\s+){0,2}(?:предыдущи|прежни|прошлы)[ехй]\\s+(?:инструкци|указани|правил|команд)\\w{0,3}',
      '\\b(?:önceki|onceki|yukarıdaki|yukaridaki)\\s+(?:\\w+\\s+){0,2}(?:talimat|komut|yönerge|yonerge)\\w{1,8}\\s+(?:\\w+\\s+){0,1}(?:yok\\s+say|unut|görmezden|gormezden)',
      // Chinese, Japanese, Korean.
      '(?:忽略|无视|無視|忘记|忘記|忘掉)\\W{0,2}(?:你)?(?:之前|以前|先前|以上|上面|前面|上述|此前)(?:收到)?的?(?:所有|全部|一切)?的?(?:指令|指示|提示|规则|規則|命令|说明|要求)',
      '(?:忽略|无视|無視|忘记|忘記|忘掉)(?:所有|全部|一切)(?:之前|以前|先前|以上|上面|前面|上述)?的?(?:指令|指示|提示|规则|規則|命令)',
      '(?:これまで|以前|前|上記|今まで)の(?:すべて|全て)?の?(?:指示|命令|ルール|プロンプト|指令)を?(?:すべて|全て)?(?:無視|忘れ)',
      '(?:이전|앞선|위)의?\\s?(?:모든|모두)?\\s?(?:지시|명령|지침|규칙|프롬프트)\\S{0,4}\\s?(?:모두\\s?|전부\\s?)?(?:무시|잊)',
      // Hindi in both scripts, Arabic, Vietnamese, Indonesian.
      '(?:पिछले|पहले\\s+के)\\s+(?:\\S+\\s+){0,2}(?:निर्देश|आदेश|नियम)\\S{0,3}\\s+(?:\\S+\\s+){0,2}(?:अनदेखा|नज़रअंदाज़|भूल)',
      '\\b(?:pichl[ei]|pehle\\s+ke|purane)\\s+(?:\\w+\\s+){0,2}(?:instructions?|nirdesh|rules?|niyam)\\s+(?:\\w+\\s+){0,2}(?:ignore|bhool|bhul|nazar\\s?andaa?z)',
      '(?:تجاهل|انس|انسَ)\\s+(?:\\S+\\s+){0,1}(?:التعليمات|الأوامر|الاوامر|القواعد)\\s+(?:السابقة|أعلاه|اعلاه)',
      '(?:bỏ|bo)\\s+qua\\s+(?:\\S+\\s+){0,3}(?:hướng|huong|chỉ|chi)\\s+(?:dẫn|dan|thị|thi)\\s+(?:trước|truoc)',
      '\\b(?:abaikan|lupakan)\\s+(?:\\w+\\s+){0,1}(?:instruksi|perintah|aturan)\\s+(?:sebelumnya|di\\s+atas)\\b',
    ],
  },
  {
    category: 'prompt-extraction',
    certain: true,
    patterns: [
      `\\b${SHOW}\\s+(?:(?:me|us|out|back|verbatim|exactly|all|of|the|full|entire|exact|complete|text|contents?|to)\\s+){0,5}your\\s+(?:(?:full|entire|exact|complete|own|very|first)\\s+){0,2}${HIDDEN}\\s+(?:(?:${HIDDEN}|full)\\s+){0,1}${TEXT}\\b`,
      `\\bwhat\\s+(?:(?:exactly|precisely)\\s+)?(?:is|are|was|were|does|do)\\s+your\\s+(?:(?:full|entire|exact|complete)\\s+)?${HIDDEN}\\s+${TEXT}\\b`,
    ],
  },
  {
    category: 'prompt-extraction',
    certain: false,
    patterns: [
      `\\b(?:reveal|print|repeat|output|display|recite|summari[sz]e|translate|encode)\\s+(?:(?:me|us|out|back|all|of|the|verbatim)\\s+){0,3}(?:everything|text|words|contents?|instructions|messages?|lines?)\\s+(?:(?:that|which|is|are|was|were|written|given|you|received|comes?|came|before)\\s+){0,5}(?:above|before\\s+(?:this|my)|at\\s+the\\s+(?:start|beginning)\\s+of\\s+(?:this|our|the)\\s+(?:conversation|chat|prompt|context))\\b`,
      `\\b(?:repeat|print|reveal|recite|output)\\s+(?:(?:me|the|all|of|exact|full|verbatim)\\s+){0,3}(?:your\\s+(?:instructions|prompt|guidelines|rules)|(?:instructions|prompt|rules)\\s+(?:that\\s+)?you\\s+(?:were|have\\s+been)\\s+given)\\b`,
    ],
  },
  {
    category: 'role-token',
    certain: true,
    patterns: [
      '<\\|im_start\\|>\\s{0,3}(?:system|assistant|user|developer)\\b',
      '<\\|start_header_id\\|>\\s{0,3}(?:system|assistant|user)\\b',
      '<\\|(?:system|assistant|end_of_turn|eot_id)\\|>\\s{0,3}\\w',
      '<start_of_turn>\\s{0,3}(?:model|user|system)\\b',
      '\\[INST\\]\\s{0,3}<<SYS>>',
    ],
  },
  {
    category: 'role-token',
    certain: false,
    patterns: [
      // A token in quotes by itself, as in lists of stop words, begins and ends nobody's turn.
      '<\\|(?:im_start|im_end|im_sep|eot_id|endoftext|start_header_id|end_header_id|begin_of_text)\\|>(?:[^"\'`]|$)',
      '\\[/?INST\\]',
      '<</?SYS>>',
      '<(?:start|end)_of_turn>',
    ],
  },
  {
    category: 'persona',
    certain: true,
    patterns: [
      "\\b(?:you\\s+are\\s+now|you're\\s+now|act\\s+as|pretend\\s+(?:to\\s+be|you\\s+are|that\\s+you\\s+are)|you\\s+are\\s+going\\s+to\\s+(?:act\\s+as|be|play)|from\\s+now\\s+on,?\\s+you\\s+(?:are|will\\s+be|will\\s+act\\s+as))\\s+(?:an?\\s+|the\\s+|my\\s+|in\\s+)?(?:\"|')?(?:dan\\s?(?:\\W|mode)|jailbroken|unrestricted\\s+(?:ai|model|chat)|unfiltered\\s+(?:ai|model|chat)|uncensored\\s+(?:ai|model|chat)|developer\\s+mode)",
      '\\bdo\\s+anything\\s+now\\b\\W{1,40}(?:\\w+\\W{1,3}){0,8}(?:rules|restrictions|limits|policy|policies|broken\\s+free)\\b',
    ],
  },
  {
    category: 'model-addressed',
    certain: false,
    patterns: [
      "\\b(?:if\\s+you\\s+are|if\\s+you're|to\\s+any|to\\s+all|attention|note\\s+(?:to|for)|(?:message|instructions?|important)\\s+(?:to|for))\\s+(?:an?\\s+|the\\s+|any\\s+|all\\s+)?(?:ai|llms?|large\\s+language\\s+models?|language\\s+models?|ai\\s+(?:assistants?|agents?|models?))\\s+(?:\\w+\\s+){0,2}(?:reading|processing|summari[sz]ing|analy[sz]ing|reviewing|that\\s+reads?|parsing|must|should|please|:)",
    ],
  },
];

/** The rules as the pattern detector takes them; `block` for what is certain, `flag` for the rest, unless told otherwise. */
export function injectionRules(block: PatternRule['action'], flag: PatternRule['action']): PatternRule[] {
  return INJECTION_RULES.flatMap(({ category, certain, patterns }) =>
    patterns.map(
      (source): PatternRule => ({
        // A candidate that grows past the cap is no sentence.
        pattern: { source, ignoreCase: true, overlong: 'drop' },
        category,
        severity: certain ? 'high' : 'medium',
        action: certain ? block : flag,
        replacement: '',
      }),
    ),
  );
}
