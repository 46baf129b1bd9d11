// A program for uprobe_symbols_test: functions whose bytes can be found in the file.
asm(".text\n"
    ".globl answer\n.type answer, @function\n"
    "answer: .ascii \"\\x0f\\x0b<answer is here>\"\n.size answer, .-answer\n"
    ".type hidden_answer, @function\n"
    "hidden_answer: .ascii \"\\x0f\\x0b<hidden answer is here>\"\n.size hidden_answer, "
    ".-hidden_answer\n"
    ".globl no_function\n.type no_function, @object\n"
    "no_function: .ascii \"<no function>\"\n.size no_function, .-no_function\n");

int main() { return 0; }
