"""The word counter: it counts the words of texts, exactly, in bounded memory, on all cores."""
