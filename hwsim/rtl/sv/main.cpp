// A clock for bench.sv under Verilator.
#include "Vconfigured.h"
#include "verilated.h"

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vconfigured top{&context};
    top.clk = 0;
    while (!context.gotFinish()) {
        top.clk = !top.clk;
        top.eval();
        context.timeInc(5);
    }
    top.final();
    return 0;
}
