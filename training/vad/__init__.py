"""The voice-activity network: a small GRU on what src/pipeline/voice-inputs.ts makes of the log-mel."""
