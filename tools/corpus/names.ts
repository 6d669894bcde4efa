// What the official file names of the corpora say of a clip.

/** The corpora whose official layouts are known. */
export const corpusNames = ['crema-d', 'ravdess', 'emodb', 'savee', 'iemocap'] as const;

/** A corpus whose names are known. */
export type CorpusName = (typeof corpusNames)[number];

/** What a path says. */
export interface NamedClip {
  readonly corpus: CorpusName;
  readonly speaker: string;
  /** Null where the name does not say it: IEMOCAP tells it in text files. */
  readonly emotion: string | null;
  /** Empty where the name does not say it. */
  readonly sex: string;
  /** Empty where the corpus has no official split. */
  readonly split: string;
  /** The corpus's code of the sentence, where speakers say the same ones in every emotion; else empty. */
  readonly sentence: string;
}

/** A clip's emotions by the code that its name (or, of IEMOCAP, its text file) has for them, in the words of this project. */
const codes = {
  'crema-d': { ANG: 'anger', DIS: 'disgust', FEA: 'fear', HAP: 'happiness', NEU: 'neutral', SAD: 'sadness' },
  ravdess: {
    ...{ '01': 'neutral', '02': 'calm', '03': 'happiness', '04': 'sadness' },
    ...{ '05': 'anger', '06': 'fear', '07': 'disgust', '08': 'surprise' },
  },
  // The first letters of the German words.
  emodb: { W: 'anger', L: 'boredom', E: 'disgust', A: 'fear', F: 'happiness', T: 'sadness', N: 'neutral' },
  savee: { a: 'anger', d: 'disgust', f: 'fear', h: 'happiness', n: 'neutral', sa: 'sadness', su: 'surprise' },
  iemocap: {
    ...{ ang: 'anger', dis: 'disgust', exc: 'excitement', fea: 'fear', fru: 'frustration', hap: 'happiness' },
    ...{ neu: 'neutral', oth: 'other', sad: 'sadness', sur: 'surprise', xxx: 'undecided' },
  },
} as const satisfies Readonly<Record<CorpusName, Readonly<Record<string, string>>>>;

/** Every emotion of each corpus. */
export const corpusEmotions: Readonly<Record<CorpusName, readonly string[]>> = {
  'crema-d': Object.values(codes['crema-d']),
  ravdess: Object.values(codes.ravdess),
  emodb: Object.values(codes.emodb),
  savee: Object.values(codes.savee),
  iemocap: Object.values(codes.iemocap),
};

/** The actors of the partition that TensorFlow Datasets publishes; all others of the 91 are for training. */
const validationActors = new Set([1015, 1020, 1021, 1030, 1050, 1070, 1079, 1089, 1090]);
const testActors = new Set([
  1010, 1013, 1022, 1026, 1037, 1038, 1040, 1045, 1047, 1048, 1059, 1065, 1066, 1068, 1071, 1073, 1084, 1086, 1088,
]);
/** EMO-DB's speakers 03, 10, 11, 12 and 15 are men; 08, 09, 13, 14 and 16 are women. */
const emodbMen = new Set(['03', '10', '11', '12', '15']);

const audioFile = /\.(?:wav|flac|opus|ogg)$/i;

type Parser = (stem: string, folders: readonly string[]) => NamedClip | null;

const parsers: Readonly<Record<CorpusName, Parser>> = {
  /** Actor, sentence, emotion, intensity: `AudioWAV/1001_DFA_ANG_XX.wav`. */
  'crema-d': (stem) => {
    const [, speaker, sentence, code] = /^(\d{4})_([A-Z]{3})_([A-Z]{3})_[A-Z]{2}$/i.exec(stem) ?? [];
    const emotion = emotionOf('crema-d', code?.toUpperCase());
    if (speaker === undefined || sentence === undefined || emotion === null) return null;
    const split = validationActors.has(Number(speaker)) ? 'validation' : testActors.has(Number(speaker)) ? 'test' : 'train';
    return { corpus: 'crema-d', speaker, emotion, sex: '', split, sentence: sentence.toUpperCase() };
  },
  /** Audio only, speech, emotion, intensity, statement, repetition, actor: `Actor_12/03-01-05-01-01-01-12.wav`. Actors of odd numbers are men. */
  ravdess: (stem) => {
    const [, code, sentence, speaker] = /^03-01-(\d{2})-0[12]-(0[12])-0[12]-(\d{2})$/.exec(stem) ?? [];
    const emotion = emotionOf('ravdess', code);
    if (speaker === undefined || sentence === undefined || emotion === null) return null;
    return { corpus: 'ravdess', speaker, emotion, sex: Number(speaker) % 2 === 1 ? 'male' : 'female', split: '', sentence };
  },
  /** Speaker, text, emotion, version: `wav/03a01Fa.wav`. */
  emodb: (stem) => {
    const [, speaker, sentence, code] = /^(\d{2})([ab]\d{2})([A-Z])[a-z]?$/.exec(stem) ?? [];
    const emotion = emotionOf('emodb', code);
    if (speaker === undefined || sentence === undefined || emotion === null) return null;
    return { corpus: 'emodb', speaker, emotion, sex: emodbMen.has(speaker) ? 'male' : 'female', split: '', sentence };
  },
  /** Speaker, emotion, sentence: `DC/a01.wav`, or `DC_a01.wav` where all lie in one folder. All four speakers are men. */
  savee: (stem, folders) => {
    const named = /^(DC|JE|JK|KL)_([a-z]{1,2})\d{2}$/.exec(stem);
    const [, code] = named === null ? (/^([a-z]{1,2})\d{2}$/.exec(stem) ?? []) : [undefined, named[2]];
    const speaker = named?.[1] ?? /^(?:DC|JE|JK|KL)$/.exec(folders.at(-1) ?? '')?.[0];
    const emotion = emotionOf('savee', code);
    if (speaker === undefined || emotion === null) return null;
    // Of fifteen sentences of an emotion most are of that one alone, so that the sentence would tell it.
    return { corpus: 'savee', speaker, emotion, sex: 'male', split: '', sentence: '' };
  },
  /**
   * `Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav`: the letter of the session's name is of the one who
   * wears the markers, that of the utterance of the one who speaks.
   */
  iemocap: (stem, folders) => {
    const [, session, sex] = /^(Ses0[1-5])[FM]_(?:impro|script)\w+_([FM])\d{3}$/.exec(stem) ?? [];
    if (session === undefined || sex === undefined || !stem.startsWith(`${folders.at(-1) ?? ''}_`)) return null;
    return { corpus: 'iemocap', speaker: session + sex, emotion: null, sex: sex === 'F' ? 'female' : 'male', split: '', sentence: '' };
  },
};

/**
 * Reads the path of a file relative to its corpus; null where it is none of a clip of speech.
 * @param path with `/` or `\` between folders
 */
export function parseClipPath(path: string): NamedClip | null {
  const folders = path.split(/[\\/]/);
  const name = folders.pop() ?? '';
  if (!audioFile.test(name)) return null;
  const stem = name.replace(audioFile, '');
  for (const corpus of corpusNames) {
    const clip = parsers[corpus](stem, folders);
    if (clip !== null) return clip;
  }
  return null;
}

/** The emotion of a corpus's code; null where it has no such code. */
export function emotionOf(corpus: CorpusName, code: string | undefined): string | null {
  const own: Readonly<Record<string, string>> = codes[corpus];
  return code !== undefined && Object.hasOwn(own, code) ? (own[code] ?? null) : null;
}
