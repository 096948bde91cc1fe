/* Writes one letter to descriptor 3: LETTER, or in argument mode (-DARGUMENT) the last letter of its first argument. */
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments)
{
#ifdef ARGUMENT
    char letter = count > 1 ? arguments[1][strlen(arguments[1]) - 1] : '?';
#else
    (void)count, (void)arguments;
    char letter = LETTER;
#endif
    return write(3, &letter, 1) == 1 ? 0 : 1;
}
