"""The published protocol of EmoTech and EmoNet, reproduced, beside protocols without copies or speakers in common."""
