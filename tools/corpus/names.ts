// What the official file names of CREMA-D and RAVDESS say of a clip.

/** A corpus whose names are known. */
export type CorpusName = 'crema-d' | 'ravdess';

/** What a name says. */
export interface NamedClip {
  readonly corpus: CorpusName;
  readonly speaker: string;
  readonly emotion: string;
  /** Empty where the name does not say it. */
  readonly sex: string;
  /** Empty where the corpus has no official split. */
  readonly split: string;
}

/** Every emotion of each corpus, in the words of this project. */
export const corpusEmotions: Readonly<Record<CorpusName, readonly string[]>> = {
  'crema-d': ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness'],
  ravdess: ['neutral', 'calm', 'happiness', 'sadness', 'anger', 'fear', 'disgust', 'surprise'],
};

/** Actor, sentence, emotion, intensity: `1001_DFA_ANG_XX.wav`. */
const cremaDName = /^(\d{4})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{2}\.(?:wav|flac|opus)$/i;
const cremaDEmotions: Readonly<Record<string, string>> = {
  ANG: 'anger',
  DIS: 'disgust',
  FEA: 'fear',
  HAP: 'happiness',
  NEU: 'neutral',
  SAD: 'sadness',
};
/** The actors of the partition that TensorFlow Datasets publishes; all others of the 91 are for training. */
const validationActors = new Set([1015, 1020, 1021, 1030, 1050, 1070, 1079, 1089, 1090]);
const testActors = new Set([
  1010, 1013, 1022, 1026, 1037, 1038, 1040, 1045, 1047, 1048, 1059, 1065, 1066, 1068, 1071, 1073, 1084, 1086, 1088,
]);

/** Audio only, speech, emotion, intensity, statement, repetition, actor: `03-01-05-01-01-01-12.wav`. */
const ravdessName = /^03-01-(0[1-8])-0[12]-0[12]-0[12]-(\d{2})\.(?:wav|flac|opus)$/i;

/** Reads a file name without its folder; null where it is none of a clip of speech of either corpus. */
export function parseClipName(name: string): NamedClip | null {
  const [, actor, code] = cremaDName.exec(name) ?? [];
  const emotion = cremaDEmotions[code?.toUpperCase() ?? ''];
  if (actor !== undefined && emotion !== undefined) {
    const split = validationActors.has(Number(actor)) ? 'validation' : testActors.has(Number(actor)) ? 'test' : 'train';
    return { corpus: 'crema-d', speaker: actor, emotion, sex: '', split };
  }
  const [, number, speaker] = ravdessName.exec(name) ?? [];
  const acted = corpusEmotions.ravdess[Number(number) - 1];
  if (speaker === undefined || acted === undefined) return null;
  // Actors of odd numbers are men.
  return { corpus: 'ravdess', speaker, emotion: acted, sex: Number(speaker) % 2 === 1 ? 'male' : 'female', split: '' };
}
