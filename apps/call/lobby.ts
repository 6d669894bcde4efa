// The lobby: name, devices, and the choice whether to be measured.
import { byId, setText } from '../shared/dom.ts';
import { capture } from './devices.ts';

/** What was chosen. */
export interface LobbyChoices {
  readonly displayName: string;
  readonly consent: boolean;
  readonly microphone: MediaStreamTrack | null;
  readonly camera: MediaStreamTrack | null;
  /** What could not be had, for a person to read; empty if nothing. */
  readonly problem: string;
}

/** The lobby. */
export interface Lobby {
  show(): void;
  hide(): void;
}

const nameKey = 'undertone.name';

/** Prepares the lobby; `join` is called with the choices, and may reject with what to tell. */
export function createLobby(join: (choices: LobbyChoices) => void): Lobby {
  const section = byId('lobby', HTMLElement);
  const form = byId('join-form', HTMLFormElement);
  const nameInput = byId('display-name', HTMLInputElement);
  const nameProblem = byId('name-problem', HTMLElement);
  const problem = byId('lobby-problem', HTMLElement);
  const useMicrophone = byId('use-microphone', HTMLInputElement);
  const useCamera = byId('use-camera', HTMLInputElement);
  const button = byId('join', HTMLButtonElement);
  const preview = byId('preview', HTMLElement);
  const video = preview.querySelector('video');
  let camera: MediaStreamTrack | null = null;

  nameInput.value = remembered();

  const showCamera = (track: MediaStreamTrack | null): void => {
    camera = track;
    preview.hidden = track === null;
    if (video !== null) video.srcObject = track === null ? null : new MediaStream([track]);
  };

  // Read anew after each wait: it may have been switched off meanwhile.
  const wantsCamera = (): boolean => useCamera.checked && !section.hidden;

  useCamera.addEventListener('change', () => {
    void (async () => {
      setText(problem, '');
      if (!useCamera.checked) {
        camera?.stop();
        showCamera(null);
        return;
      }
      const captured = await capture('camera');
      if (captured.track === null) {
        useCamera.checked = false;
        setText(problem, captured.problem);
      } else if (wantsCamera()) {
        showCamera(captured.track);
      } else {
        captured.track.stop();
      }
    })();
  });

  nameInput.addEventListener('input', () => {
    nameInput.removeAttribute('aria-invalid');
    setText(nameProblem, '');
  });

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const displayName = nameInput.value.trim();
    if (displayName === '') {
      nameInput.setAttribute('aria-invalid', 'true');
      setText(nameProblem, 'Please enter a name that the others will see.');
      nameInput.focus();
      return;
    }
    remember(displayName);
    button.disabled = true;
    setText(button, 'Joining…');
    void (async () => {
      const microphone = useMicrophone.checked ? await capture('microphone') : null;
      const mine = camera;
      showCamera(null);
      join({
        displayName,
        consent: new FormData(form).get('consent') === 'yes',
        microphone: microphone?.track ?? null,
        camera: mine,
        problem: microphone?.problem ?? '',
      });
    })();
  });

  return {
    show() {
      button.disabled = false;
      useCamera.checked = false;
      setText(button, 'Join the call');
      setText(problem, '');
      section.hidden = false;
      nameInput.focus({ preventScroll: true });
    },
    hide() {
      section.hidden = true;
    },
  };
}

// Private windows and strict settings refuse storage; then a name is asked for each time.
function remembered(): string {
  try {
    return localStorage.getItem(nameKey) ?? '';
  } catch {
    return '';
  }
}

function remember(name: string): void {
  try {
    localStorage.setItem(nameKey, name);
  } catch {
    return;
  }
}
